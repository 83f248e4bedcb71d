"""Training on Lightning: the objective's loop, its schedule, and resumable state."""

from __future__ import annotations

from sams_core.training.config import TrainingConfig
from sams_core.training.fit import Hardware, fit
from sams_core.training.statistics import data_statistics

__all__ = ["Hardware", "TrainingConfig", "data_statistics", "fit"]
