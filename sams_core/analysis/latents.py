"""Where each cell lies in the latent space: the table of cells."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from sams_core.data.annotations import without_clashes
from sams_core.data.screen import Screen
from sams_core.perturbation_model import PerturbationModel

MAX_COUNTS = 25_000_000
"""Counts above zero that a table of cells may hold: about 125 MB in memory."""
LEFT_OUT = "counts_left_out"
"""Where ``uns`` says why a table of cells has no counts."""


def cells_table(
    model: PerturbationModel,
    screen: Screen,
    *,
    max_cells: int = 20_000,
    keep_counts: bool = True,
    seed: int = 0,
) -> ad.AnnData:
    """Cells with their posterior mean latent states and, if they are not too many, their counts.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.
    max_cells
        Of a larger screen a subsample is kept, in proportion within every condition.
    keep_counts
        Whether to keep the raw counts, of which at most `MAX_COUNTS` may be above zero.
    seed
        Of the subsample.

    Returns
    -------
    ``X``: raw counts (n, G), CSR in the smallest exact unsigned type; without columns where they
    are left out, and ``uns["counts_left_out"]`` then says why. ``obs``: condition,
    n_perturbations, split, library_size, batch where there is one, and the screen's other
    annotations. ``obsm``: ``z_basal`` and ``z`` (n, L). ``uns["n_cells_total"]``: cells of the
    screen.
    """
    chosen = stratified_subsample(np.asarray(screen.conditions.codes), max_cells, seed=seed)
    part = screen if len(chosen) == screen.n_cells else screen.subset(chosen)
    basal = model.get_latent_representation(part, kind="basal")
    full = basal + model.encoded(part).dosages @ model.effects().to_numpy(np.float32)
    left_out = _why_without_counts(part, keep_counts)
    table = ad.AnnData(
        _counts(part) if left_out is None else _nothing(part.n_cells),
        obs=_describe_cells(part, model.split[chosen]),
        var=pd.DataFrame(index=part.gene_names if left_out is None else []),
        obsm={"z_basal": basal.astype(np.float32), "z": full.astype(np.float32)},
    )
    table.uns["n_cells_total"] = screen.n_cells
    if left_out is not None:
        table.uns[LEFT_OUT] = left_out
    return table


def _why_without_counts(part: Screen, keep_counts: bool) -> str | None:
    """Why the counts of these cells are not kept; None if they are."""
    if not keep_counts:
        return "the raw counts of this screen were left out when its tables were prepared"
    n_counts = int(part.counts.indptr[-1])
    if n_counts <= MAX_COUNTS:
        return None
    return (
        f"the {part.n_cells:,} cells shown have {n_counts:,} counts above zero, more than the "
        f"{MAX_COUNTS:,} that are kept; choose fewer with --max-cells"
    )


def _counts(part: Screen) -> Any:
    """The cells' counts in memory, whether or not the screen is on disk."""
    counts = part.counts
    return counts[np.arange(part.n_cells)] if part.on_disk else counts


def _nothing(n_cells: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.empty((n_cells, 0), np.float32))


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
