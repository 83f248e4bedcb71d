"""How a model is trained: one validated record, stored in the checkpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingConfig(BaseModel):
    """Settings of the optimiser, the objective and its schedule.

    The mask's KL divergence is weighted per perturbation. ``mask_penalty_*`` are stated per cell:
    a perturbation with N training cells has weight ``max(1, penalty * N)``, so that opening an
    entry must be worth ``penalty * log(1 / mask_prior)`` nats to each of its cells, however many
    there are. 0 is the plain ELBO. The penalty rises from 0: effects are found first, by the plain
    ELBO, and entries that do not pay for themselves then close. A penalty from the first step can
    close entries before their effect is learned, and they seldom open again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_steps: int = Field(3000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(512, ge=2, description="Cells in a minibatch.")
    n_particles: int = Field(2, ge=1, description="Monte Carlo particles a step.")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's learning rate.")
    mask_learning_rate: float = Field(
        2e-2, gt=0, description="Adam's learning rate for the mask's log-odds."
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
    mask_penalty_start: float = Field(
        0.0, ge=0, description="Per-cell weight of the mask's KL divergence at the first step."
    )
    mask_penalty_end: float = Field(
        0.05, ge=0, description="Per-cell weight of the mask's KL divergence after annealing."
    )
    mask_penalty_fraction: float = Field(
        0.5, ge=0, le=1, description="Share of the steps over which that weight anneals."
    )
    max_mask_logit: float = Field(
        6.0, gt=0, description="Bound on the mask's log-odds, so that no entry loses its gradient."
    )
    validation_every: int = Field(250, ge=1, description="Steps between validations.")
    early_stopping: int = Field(
        0, ge=0, description="Stop after so many validations without a better one; 0 for never."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything random.")
