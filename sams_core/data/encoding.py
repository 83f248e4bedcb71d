"""How combinations are written as dosages: the sum of their perturbations, or as their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from sams_core.data.screen import Screen
from sams_core.errors import ConfigError


def own_combinations(screen: Screen) -> Screen:
    """Make every combination a perturbation of its own, as SVAE+ needs and CPA-VAE may try.

    Cells, counts, conditions, split, annotations and truth stay; only D and the names of its
    columns change. A model of it knows nothing of a combination that it was not trained on.

    Returns
    -------
    Screen
        D has the T old columns, without the cells of combinations, followed by one column for each
        condition with several perturbations, named as the condition (``A+B``, ``A@0.5+B``), in the
        conditions' order, with dose 1. A perturbation measured only in combinations keeps its
        column, which is then empty.
    """
    size = np.diff(screen.dosages.indptr)
    combined = np.flatnonzero(size > 1)
    own, column = np.unique(np.asarray(screen.conditions.codes)[combined], return_inverse=True)
    cell = np.repeat(np.arange(screen.n_cells), size)
    alone = size[cell] == 1
    dosages = sparse.csr_matrix(
        (
            np.r_[screen.dosages.data[alone], np.ones(combined.size, np.float32)],
            (
                np.r_[cell[alone], combined],
                np.r_[screen.dosages.indices[alone], screen.n_perturbations + column],
            ),
        ),
        shape=(screen.n_cells, screen.n_perturbations + own.size),
    )
    names = [*screen.perturbation_names, *screen.conditions.categories[own]]
    return replace(screen, dosages=dosages, perturbation_names=pd.Index(names, dtype=object))


def with_perturbations(screen: Screen, names: pd.Index) -> Screen:
    """Give D a column for each of some perturbations, in their order; empty where not measured.

    Parameters
    ----------
    screen
        The screen.
    names
        All of the screen's perturbations and maybe more.

    Raises
    ------
    ConfigError
        If the screen has a perturbation that is not among them.
    """
    columns = names.get_indexer(screen.perturbation_names)
    if (columns < 0).any():
        unknown = screen.perturbation_names[columns < 0][0]
        raise ConfigError(
            f"The screen has a perturbation {unknown!r} that the model was not trained with: leave "
            "out its cells."
        )
    old = screen.dosages
    dosages = sparse.csr_matrix(
        (old.data, columns[old.indices], old.indptr), shape=(screen.n_cells, len(names))
    )
    dosages.sort_indices()
    return replace(screen, dosages=dosages, perturbation_names=names)
