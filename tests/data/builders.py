"""Small AnnData objects for the tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

PAIRED = ("ctrl", "A", "B", "A+B")


def tiny(
    labels: Sequence[str] = PAIRED, *, cells_each: int = 5, n_genes: int = 8, seed: int = 0
) -> AnnData:
    """A well-formed AnnData with ``cells_each`` cells of every label in ``obs["perturbation"]``."""
    column = [label for label in labels for _ in range(cells_each)]
    return labelled(column, n_genes=n_genes, seed=seed)


def labelled(column: Sequence[object], *, n_genes: int = 8, seed: int = 0) -> AnnData:
    """A well-formed AnnData with one label given for each cell."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3.0, size=(len(column), n_genes))
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {"perturbation": list(column)}, index=[f"cell{i}" for i in range(len(column))]
    )
    var = pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)])
    return AnnData(X=sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=var)
