"""Random splits of a screen's cells, stratified by condition."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sams_core.data.annotations import SPLITS
from sams_core.data.screen import Screen
from sams_core.errors import ConfigError


def random_split(
    screen: Screen, *, test: float = 0.2, val: float = 0.2, seed: int = 0
) -> np.ndarray:
    """Split cells into training, validation and test cells, within every condition.

    Parameters
    ----------
    screen
        The screen.
    test
        Share of cells held out for testing, in [0, 1).
    val
        Share of the remaining cells held out for validation, in [0, 1).
    seed
        Seed; the same screen and seed give the same split.

    Returns
    -------
    numpy.ndarray
        ``"train"``, ``"val"`` or ``"test"`` for every cell, shape (n,). Shares are met within a
        cell in every condition and on average over conditions, and every condition keeps a
        training cell.

    Raises
    ------
    ConfigError
        If a share is outside [0, 1).
    """
    for name, share in (("test", test), ("val", val)):
        if not 0 <= share < 1:
            raise ConfigError(f"The share {name} is {share}; it must be at least 0 and below 1.")
    rng = np.random.default_rng(seed)
    split = np.full(screen.n_cells, "train", dtype="<U5")
    codes = np.asarray(screen.conditions.codes)
    order = np.argsort(codes, kind="stable")
    for cells in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        shuffled = rng.permutation(cells)
        n_test = _share(cells.size, test, rng)
        n_val = _share(cells.size - n_test, val, rng)
        split[shuffled[:n_test]] = "test"
        split[shuffled[n_test : n_test + n_val]] = "val"
    return split


def check_split(split: np.ndarray, n_cells: int) -> np.ndarray:
    """Refuse what is not one of ``"train"``, ``"val"`` and ``"test"`` for every cell.

    Returns
    -------
    numpy.ndarray
        The same names, as objects of shape (n,).

    Raises
    ------
    ConfigError
        If there are too few or too many, or another name.
    """
    names = split.astype(object)
    if names.shape != (n_cells,):
        raise ConfigError(
            f"split has shape {names.shape}, but the screen has {n_cells} cells: give one name a "
            "cell."
        )
    unknown = [name for name in pd.unique(names) if name not in SPLITS]
    if unknown:
        raise ConfigError(f"split holds {unknown[0]!r}: use 'train', 'val' and 'test'.")
    return names


def _share(n: int, share: float, rng: np.random.Generator) -> int:
    """Round ``n * share`` up or down at random, without bias, and leave at least one."""
    return max(0, min(n - 1, int(np.floor(n * share + rng.random()))))
