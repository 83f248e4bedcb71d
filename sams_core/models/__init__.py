"""Generative models and their guides: no files, no Lightning, no AnnData."""

from __future__ import annotations

from sams_core.models.base import PerturbationVAE
from sams_core.models.batch import Minibatch
from sams_core.models.conditional_vae import ConditionalVAEModule
from sams_core.models.config import (
    ConditionalVAEConfig,
    CPAVAEConfig,
    Inference,
    SAMSVAEConfig,
    SVAEPlusConfig,
    VAEConfig,
)
from sams_core.models.cpa_vae import CPAVAEModule
from sams_core.models.moments import ShiftMoments, shift_moments
from sams_core.models.sams_vae import SAMSVAEModule
from sams_core.models.svae_plus import SVAEPlusModule
from sams_core.models.terms import DataStatistics, ElboTerms, ShiftSample

__all__ = [
    "CPAVAEConfig",
    "CPAVAEModule",
    "ConditionalVAEConfig",
    "ConditionalVAEModule",
    "DataStatistics",
    "ElboTerms",
    "Inference",
    "Minibatch",
    "PerturbationVAE",
    "SAMSVAEConfig",
    "SAMSVAEModule",
    "SVAEPlusConfig",
    "SVAEPlusModule",
    "ShiftMoments",
    "ShiftSample",
    "VAEConfig",
    "shift_moments",
]
