"""Where each cell lies in the latent space: the table of cells."""

from __future__ import annotations

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from sams_core.data.annotations import without_clashes
from sams_core.data.screen import Screen
from sams_core.perturbation_model import PerturbationModel


def cells_table(
    model: PerturbationModel,
    screen: Screen,
    *,
    max_cells: int = 20_000,
    seed: int = 0,
) -> ad.AnnData:
    """Cells with their posterior mean latent states.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.
    max_cells
        Of a larger screen a subsample is kept, in proportion within every condition.
    seed
        Of the subsample.

    Returns
    -------
    ``obs``: condition, n_perturbations, split, library_size, batch where there is one, and the
    screen's other annotations. ``obsm``: ``z_basal`` and ``z`` (n, L). ``X`` has no columns.
    ``uns["n_cells_total"]``: cells of the screen.
    """
    chosen = stratified_subsample(np.asarray(screen.conditions.codes), max_cells, seed=seed)
    part = screen if len(chosen) == screen.n_cells else screen.subset(chosen)
    basal = model.get_latent_representation(part, kind="basal")
    full = basal + model.encoded(part).dosages @ model.effects().to_numpy(np.float32)
    table = ad.AnnData(
        sparse.csr_matrix(np.empty((part.n_cells, 0), np.float32)),
        obs=_describe_cells(part, model.split[chosen]),
        obsm={"z_basal": basal.astype(np.float32), "z": full.astype(np.float32)},
    )
    table.uns["n_cells_total"] = screen.n_cells
    return table


def stratified_subsample(
    groups: npt.ArrayLike, size: int, *, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Rows of a subsample that keeps every group in proportion and, if it can, every group.

    Parameters
    ----------
    groups
        (n,) group of each row.
    size
        Rows to keep; all of them where there are no more.
    seed
        Of the choice.

    Returns
    -------
    Sorted row numbers.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    if size >= len(codes):
        return np.arange(len(codes))
    order = np.random.default_rng(seed).permutation(len(codes))
    shuffled = pd.Series(codes[order])
    rank = shuffled.groupby(shuffled).cumcount().to_numpy()
    quantile = rank / np.bincount(codes)[codes[order]]
    return np.sort(order[np.argsort(quantile, kind="stable")[:size]])


def _describe_cells(screen: Screen, split: npt.NDArray[np.object_]) -> pd.DataFrame:
    columns = {
        "condition": screen.conditions,
        "n_perturbations": np.diff(screen.dosages.indptr),
        "split": pd.Categorical(split),
        "library_size": screen.library_size,
    }
    if screen.batch is not None:
        columns["batch"] = screen.batch
    obs = pd.DataFrame(columns, index=screen.cell_names)
    return obs.join(without_clashes(screen.obs, obs.columns))
