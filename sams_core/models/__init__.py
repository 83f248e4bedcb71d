"""Generative models and their guides: no files, no Lightning, no AnnData."""

from __future__ import annotations

from sams_core.models.batch import Minibatch
from sams_core.models.config import Inference, ModelConfig
from sams_core.models.moments import ShiftMoments, shift_moments
from sams_core.models.sams_vae import DataStatistics, ElboTerms, SAMSVAEModule, ShiftSample

__all__ = [
    "DataStatistics",
    "ElboTerms",
    "Inference",
    "Minibatch",
    "ModelConfig",
    "SAMSVAEModule",
    "ShiftMoments",
    "ShiftSample",
    "shift_moments",
]
