"""How a model is trained: one validated record, stored in the checkpoint."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class TrainingConfig(BaseModel):
    """Settings of the optimiser, the objective and its phases.

    SAMS-VAE is trained in four phases (:mod:`sams_core.training.schedule`): effects with every mask
    entry open, the basis in which they are sparsest, masks under a weighted mask term, and the
    plain ELBO with closed entries pruned. With ``effects_fraction``, ``mask_share``,
    ``mask_penalty_end`` and ``pruned_fraction`` 0 it is trained by the ELBO from the first step to
    the last, as in the paper.

    ``mask_penalty_*`` hold for every family with a mask: beside what ``mask_share`` adds, the mask
    term of a perturbation with N training cells has weight ``max(1, penalty * N)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_steps: int = Field(3000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(512, ge=2, description="Cells in a minibatch.")
    n_particles: int = Field(2, ge=1, description="Monte Carlo particles a step.")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's learning rate.")
    mask_learning_rate: float = Field(
        2e-2, gt=0, description="Adam's learning rate for the mask's log-odds."
    )
    embedding_learning_rate: float = Field(
        1e-2,
        gt=0,
        description="Adam's learning rate for each perturbation's own mean and scale of E "
        "(sams_vae).",
    )
    weight_decay: float = Field(1e-6, ge=0, description="Adam's weight decay.")
    decay_fraction: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the steps, at the end, over which the learning rate falls to 0.",
    )
    gradient_clip: float = Field(
        100.0, ge=0, description="Largest norm of a gradient step; 0 for no clipping."
    )
    objective: Literal["exact", "sampled"] = Field(
        "exact",
        description="KL divergences in closed form (exact) or at the draws (sampled, as the "
        "paper).",
    )
    effects_fraction: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="sams_vae: share of the steps, at the start, in which every mask entry is "
        "open; then the latent space is turned to the basis in which effects are sparsest. 0 for "
        "neither.",
    )
    mask_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="sams_vae: share of what its perturbation's whole shift explains that a mask "
        "entry must explain at least to stay open; 0 to ask for none.",
    )
    mask_penalty_start: float = Field(
        0.0,
        ge=0,
        description="Weight of the mask term per training cell of a perturbation (at least 1 in "
        "all) when masks begin to be learned.",
    )
    mask_penalty_end: float = Field(
        0.03, ge=0, description="The same weight at its full height; 0 for the plain ELBO."
    )
    mask_penalty_fraction: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the steps at which the mask term's weight reaches its full height.",
    )
    pruned_fraction: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="sams_vae: share of the steps, at the end, in which closed mask entries stay "
        "closed and the objective is the plain ELBO.",
    )
    max_mask_logit: float = Field(
        6.0, gt=0, description="Bound on the mask's log-odds, so that no entry loses its gradient."
    )
    validation_every: int = Field(250, ge=1, description="Steps between validations.")
    early_stopping: int = Field(
        0,
        ge=0,
        description="Stop after so many validations without a better one; 0 for never. Counted "
        "once the objective does not change any more: for sams_vae in its last, pruned phase.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything random.")

    @model_validator(mode="after")
    def _phases_follow_each_other(self) -> Self:
        if self.effects_fraction + self.pruned_fraction >= 1:
            raise PydanticCustomError(
                "no_time_for_masks",
                "effects_fraction and pruned_fraction must sum to less than 1, so that there are "
                "steps to learn masks in",
            )
        return self
