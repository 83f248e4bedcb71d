"""A space for comparing cells, and the E-distance between predicted and measured ones in it.

The space is spanned by the leading principal components of log-normalised training cells; no test
cell shapes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial.distance import cdist, pdist
from sklearn.decomposition import PCA

from sams_core.analysis.differential import log_normalise

FloatArray = npt.NDArray[np.floating]

N_COMPONENTS = 50
MAX_CELLS = 20_000


@dataclass(frozen=True)
class CellSpace:
    """Principal components of log2-normalised training cells.

    Attributes
    ----------
    components
        (k, G) orthonormal directions over genes.
    centre
        (G,) mean log-normalised expression of the training cells.
    n_cells
        Training cells from which they were computed.
    """

    components: npt.NDArray[np.float64]
    centre: npt.NDArray[np.float64]
    n_cells: int

    def describe(self) -> str:
        """Name the space in words."""
        return (
            f"first {len(self.components)} principal components of log2(1e4 x / sum(x) + 1), "
            f"from {self.n_cells:,} training cells"
        )

    def project(self, counts: sparse.csr_matrix) -> npt.NDArray[np.float64]:
        """Place cells with (n, G) counts in the space: (n, k)."""
        return log_normalise(counts) @ self.components.T - self.centre @ self.components.T

    def shift(self, effects: FloatArray) -> npt.NDArray[np.float64]:
        """Movement that (..., G) effects in log2 units mean: (..., k).

        A baseline's cells are control training cells moved by its predicted effect. In log units
        the space is linear, so that moving projected cells is exact; expression below zero, which
        no cell has, is not ruled out.
        """
        return effects @ self.components.T


def fit_cell_space(
    counts: sparse.csr_matrix,
    *,
    n_components: int = N_COMPONENTS,
    max_cells: int = MAX_CELLS,
    seed: int = 0,
) -> CellSpace:
    """Compute the space from training cells.

    Parameters
    ----------
    counts
        (n, G) counts of training cells.
    n_components
        Components kept; at most one fewer than cells and genes.
    max_cells
        Cells used, drawn at random if there are more.
    seed
        Of the draw.
    """
    cells = counts[draw_cells(np.arange(counts.shape[0]), max_cells, np.random.default_rng(seed))]
    k = min(n_components, min(cells.shape) - 1)
    pca = PCA(k, svd_solver="arpack", random_state=seed).fit(log_normalise(cells))
    return CellSpace(pca.components_, pca.mean_, cells.shape[0])


def draw_cells(
    cells: npt.NDArray[np.intp], at_most: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """At most so many of the cells, drawn without replacement, in their order."""
    if cells.size <= at_most:
        return cells
    return np.sort(rng.choice(cells, at_most, replace=False))


def e_distance(x: FloatArray, y: FloatArray) -> float:
    """Energy distance between two samples of cells.

    ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` with Euclidean distances (Székely & Rizzo 2013), a
    cell's distance to itself left out: unbiased whatever the numbers of cells, and so at times a
    little below zero for samples of one population.

    Parameters
    ----------
    x, y
        (n, k) and (m, k) cells.

    Returns
    -------
    In the units of the space; NaN with fewer than two cells on either side.
    """
    if min(len(x), len(y)) < 2:
        return float("nan")
    return float(2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean())


def e_distances(
    measured: Iterable[FloatArray], predicted: Iterable[FloatArray]
) -> npt.NDArray[np.float64]:
    """E-distance of each condition's predicted to its measured cells, (C,).

    Parameters
    ----------
    measured, predicted
        (n, k) and (m, k) cells of each condition, in the same order; may be generated on the way.
    """
    pairs = zip(measured, predicted, strict=True)
    return np.array([e_distance(x, y) for x, y in pairs], dtype=np.float64)
