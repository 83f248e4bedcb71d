"""Hyperparameters of the generative model and its guide, validated once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Inference = Literal["correlated", "correlated_z", "correlated_e", "mean_field"]


class ModelConfig(BaseModel):
    """Hyperparameters of SAMS-VAE.

    Attributes
    ----------
    inference
        Which guide: ``"correlated"`` (E given M, and z_basal given the counts and the latent
        shift), ``"correlated_z"`` (only the latter), ``"correlated_e"`` (only the former) or
        ``"mean_field"`` (neither). The paper's section 3.2 names them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_latent: int = Field(20, ge=1, le=10_000, description="Latent dimensions of a cell.")
    inference: Inference = Field(
        "correlated",
        description="Guide: correlated (E given M; z_basal given the shift), correlated_z, "
        "correlated_e or mean_field.",
    )
    mask_prior: float = Field(
        0.01, gt=0, lt=1, description="Prior probability that a mask entry is open."
    )
    embedding_prior_scale: float = Field(
        1.0, gt=0, description="Prior standard deviation of an embedding entry."
    )
    n_hidden: int = Field(128, ge=1, description="Hidden units of the decoder and the encoder.")
    n_layers: int = Field(1, ge=1, le=16, description="Layers of the decoder and the encoder.")
    embedding_n_hidden: int = Field(
        64, ge=1, description="Hidden units of the network for E given M."
    )
    embedding_n_layers: int = Field(
        2, ge=1, le=16, description="Layers of the network for E given M."
    )
    mask_temperature: float = Field(
        1.0, gt=0, description="Temperature of the relaxed Bernoulli that trains the mask."
    )
    initial_mask_probability: float = Field(
        0.5, gt=0, lt=1, description="Inclusion probability of every mask entry before training."
    )
    mean_floor: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Counts added to every expected count; 1e-4 reproduces the authors' code.",
    )

    @property
    def correlated_embedding(self) -> bool:
        """Whether the guide of E reads the sampled mask."""
        return self.inference in ("correlated", "correlated_e")

    @property
    def correlated_basal(self) -> bool:
        """Whether the guide of z_basal reads the latent shift."""
        return self.inference in ("correlated", "correlated_z")
