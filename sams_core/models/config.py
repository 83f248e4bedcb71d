"""Hyperparameters of the generative models and their guides, validated once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Inference = Literal["correlated", "correlated_z", "correlated_e", "mean_field"]
BasalInference = Literal["correlated_z", "mean_field"]


class VAEConfig(BaseModel):
    """Hyperparameters that every family has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_latent: int = Field(20, ge=1, le=10_000, description="Latent dimensions of a cell.")
    n_hidden: int = Field(128, ge=1, description="Hidden units of the decoder and the encoder.")
    n_layers: int = Field(1, ge=1, le=16, description="Layers of the decoder and the encoder.")
    mean_floor: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Counts added to every expected count; 1e-4 reproduces the authors' code.",
    )


class ConditionalVAEConfig(VAEConfig):
    """Hyperparameters of the conditional VAE."""


class CPAVAEConfig(VAEConfig):
    """Hyperparameters of CPA-VAE.

    Attributes
    ----------
    inference
        Which guide: ``"correlated_z"`` (z_basal given the counts and the latent shift) or
        ``"mean_field"`` (z_basal given the counts).
    """

    inference: BasalInference = Field(
        "correlated_z", description="Guide: correlated_z (z_basal given the shift) or mean_field."
    )
    embedding_prior_scale: float = Field(
        1.0, gt=0, description="Prior standard deviation of an embedding entry."
    )

    @property
    def correlated_basal(self) -> bool:
        """Whether the guide of z_basal reads the latent shift."""
        return self.inference == "correlated_z"


class MaskedConfig(VAEConfig):
    """Hyperparameters that families with a mask have."""

    mask_prior_a: float = Field(
        1.0, gt=0, description="First parameter of the Beta prior of a learned mask probability."
    )
    mask_prior_b: float = Field(
        5.0, gt=0, description="Second parameter of that prior; larger is sparser."
    )
    mask_temperature: float = Field(
        1.0, gt=0, description="Temperature of the relaxed Bernoulli that trains the mask."
    )
    initial_mask_probability: float = Field(
        0.5, gt=0, lt=1, description="Inclusion probability of every mask entry before training."
    )


class SVAEPlusConfig(MaskedConfig):
    """Hyperparameters of SVAE+."""


class SAMSVAEConfig(MaskedConfig):
    """Hyperparameters of SAMS-VAE.

    Attributes
    ----------
    inference
        Which guide: ``"correlated"`` (E given M, and z_basal given the counts and the latent
        shift), ``"correlated_z"`` (only the latter), ``"correlated_e"`` (only the former) or
        ``"mean_field"`` (neither). The paper's section 3.2 names them.
    learned_mask_prior
        Give every mask entry a prior probability of its own, learned under
        ``Beta(mask_prior_a, mask_prior_b)``, in place of ``mask_prior``.
    embedding_table
        Beside the network for E given M, learn a mean and a scale of E for each perturbation. The
        network alone learns weak effects slowly, and its shared bias gives all perturbations a
        common shift against the control.
    """

    inference: Inference = Field(
        "correlated",
        description="Guide: correlated (E given M; z_basal given the shift), correlated_z, "
        "correlated_e or mean_field.",
    )
    mask_prior: float = Field(
        0.01, gt=0, lt=1, description="Prior probability that a mask entry is open."
    )
    learned_mask_prior: bool = Field(
        False, description="Learn each entry's prior probability under a Beta distribution."
    )
    embedding_prior_scale: float = Field(
        1.0, gt=0, description="Prior standard deviation of an embedding entry."
    )
    embedding_table: bool = Field(
        True,
        description="Give the guide of E a mean and a scale of its own for every perturbation, to "
        "which the network for E given M adds; the paper has the network alone.",
    )
    embedding_n_hidden: int = Field(
        64, ge=1, description="Hidden units of the network for E given M."
    )
    embedding_n_layers: int = Field(
        2, ge=1, le=16, description="Layers of the network for E given M."
    )

    @property
    def correlated_embedding(self) -> bool:
        """Whether the guide of E reads the sampled mask."""
        return self.inference in ("correlated", "correlated_e")

    @property
    def correlated_basal(self) -> bool:
        """Whether the guide of z_basal reads the latent shift."""
        return self.inference in ("correlated", "correlated_z")
