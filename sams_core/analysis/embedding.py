"""Two-dimensional maps for looking at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from sklearn.neighbors import KNeighborsTransformer

_NEIGHBOURS = 15
_SMALLEST = 8
_MANY = 5_000
_EPOCHS_FOR_MANY = 200


def umap(values: npt.ArrayLike, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """UMAP of the rows by scanpy, from exact nearest neighbours; the same at every call.

    Fewer than eight rows, too few for a neighbourhood graph, are laid out by their first two
    principal components instead.

    Parameters
    ----------
    values
        (n, d) coordinates.
    seed
        Of the layout.

    Returns
    -------
    (n, 2) float32.
    """
    matrix = np.asarray(values, dtype=np.float32)
    if len(matrix) < _SMALLEST:
        return _principal_components(matrix)
    import scanpy as sc

    _keep_compiled()
    adata = ad.AnnData(np.empty((len(matrix), 0), np.float32), obsm={"X": matrix})
    neighbours = min(_NEIGHBOURS, len(matrix) - 1)
    transformer = _ExactNeighbours(n_neighbors=neighbours, algorithm="brute")
    epochs = _EPOCHS_FOR_MANY if len(matrix) > _MANY else None
    with _torch_threads_kept():
        sc.pp.neighbors(adata, use_rep="X", random_state=seed, transformer=transformer)
        sc.tl.umap(adata, random_state=seed, maxiter=epochs)
    return np.asarray(adata.obsm["X_umap"], dtype=np.float32)


def _keep_compiled() -> None:
    """Let numba keep the two slowest functions to compile on disk, where UMAP keeps others."""
    from umap.umap_ import compute_membership_strengths, smooth_knn_dist

    for function in (compute_membership_strengths, smooth_knn_dist):
        function.enable_caching()


@contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """Undo what numba does to the threads of the OpenMP runtime that it shares with torch."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _ExactNeighbours(KNeighborsTransformer):
    """Brute-force neighbours as the sparse matrix type that scanpy can read."""

    def fit_transform(self, X: Any, y: Any = None) -> csr_matrix:
        return csr_matrix(super().fit_transform(X))


def _principal_components(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = matrix - matrix.mean(0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    found = (left * singular)[:, :2]
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1]))).astype(np.float32)
