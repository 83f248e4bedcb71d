"""Screens: counts, dosages and names; splits, simulation and gene sets."""

from __future__ import annotations

from sams_core.data.encoding import own_combinations
from sams_core.data.gaussian_simulation import GaussianSimulationConfig, simulate_gaussian_screen
from sams_core.data.gene_sets import read_gmt
from sams_core.data.options import ReaderOptions
from sams_core.data.reading import read_screen
from sams_core.data.screen import Screen
from sams_core.data.simulation import SimulationConfig, simulate_screen
from sams_core.data.splits import SplitConfig, make_split, random_split
from sams_core.data.summary import ScreenSummary, summarise

__all__ = [
    "GaussianSimulationConfig",
    "ReaderOptions",
    "Screen",
    "ScreenSummary",
    "SimulationConfig",
    "SplitConfig",
    "make_split",
    "own_combinations",
    "random_split",
    "read_gmt",
    "read_screen",
    "simulate_gaussian_screen",
    "simulate_screen",
    "summarise",
]
