"""The families of models, as a user meets them."""

from __future__ import annotations

from pathlib import Path

from sams_core import record as records
from sams_core.data.screen import Screen
from sams_core.errors import CheckpointError
from sams_core.models import (
    ConditionalVAEConfig,
    ConditionalVAEModule,
    CPAVAEConfig,
    CPAVAEModule,
    SAMSVAEConfig,
    SAMSVAEModule,
    SVAEPlusConfig,
    SVAEPlusModule,
)
from sams_core.perturbation_model import PerturbationModel


class SAMSVAE(PerturbationModel):
    """Sparse Additive Mechanism Shift VAE: each perturbation shifts a few latent dimensions.

    Shifts of the perturbations of a cell add up. Parameters: :class:`PerturbationModel`;
    hyperparameters: :class:`sams_core.models.SAMSVAEConfig`.
    """

    family = "sams_vae"
    Config = SAMSVAEConfig
    Module = SAMSVAEModule


class CPAVAE(PerturbationModel):
    """CPA-VAE: as SAMS-VAE, but each perturbation shifts every latent dimension.

    Parameters: :class:`PerturbationModel`; hyperparameters:
    :class:`sams_core.models.CPAVAEConfig`.
    """

    family = "cpa_vae"
    Config = CPAVAEConfig
    Module = CPAVAEModule


class SVAEPlus(PerturbationModel):
    """SVAE+: each condition shifts a few latent dimensions on its own; nothing adds up.

    Parameters: :class:`PerturbationModel`; hyperparameters:
    :class:`sams_core.models.SVAEPlusConfig`.
    """

    family = "svae_plus"
    Config = SVAEPlusConfig
    Module = SVAEPlusModule
    default_combinations = "own"


class ConditionalVAE(PerturbationModel):
    """Conditional VAE: the networks are told the dosages, which have no place in latent space.

    Parameters: :class:`PerturbationModel`; hyperparameters:
    :class:`sams_core.models.ConditionalVAEConfig`.
    """

    family = "conditional_vae"
    Config = ConditionalVAEConfig
    Module = ConditionalVAEModule


FAMILIES: dict[str, type[PerturbationModel]] = {
    kind.family: kind for kind in (SAMSVAE, CPAVAE, SVAEPlus, ConditionalVAE)
}
"""The families by their name in ``config.json``."""


def load_model(folder: str | Path, screen: Screen | None = None) -> PerturbationModel:
    """Read a checkpoint folder of any family; parameters as :meth:`PerturbationModel.load`.

    Raises
    ------
    CheckpointError
        When the folder is missing, damaged, foreign or of another version, or the screen is
        not the one it was trained on.
    """
    family = records.read_config(folder).family
    if family not in FAMILIES:
        raise CheckpointError(
            f"{folder} holds a model of family {family!r}, which this version of sams_core does "
            "not know: install the version that wrote it."
        )
    return FAMILIES[family].load(folder, screen)
