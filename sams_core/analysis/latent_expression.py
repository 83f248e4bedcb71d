"""A gene's expression in the cells of a checkpoint's table: as measured, and as the model expects.

Both are in log2 units of counts per 10,000: ``log2(1e4 * share + 1)``. The measured share is a
cell's count of the gene over its counts of all of the screen's genes; the expected share is the
decoder's, free of count noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy import sparse

from sams_core.analysis.differential import COUNTS_PER_CELL, log_normalise
from sams_core.analysis.latents import LEFT_OUT
from sams_core.errors import ConfigError

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.perturbation_model import PerturbationModel

Space = Literal["basal", "full"]

STATES: dict[Space, str] = {"basal": "z_basal", "full": "z"}
"""Where the table of cells has the states of each space."""
_AT_ONCE = 4_000_000


def has_counts(cells: AnnData) -> bool:
    """Whether a table of cells holds their counts."""
    return bool(cells.n_vars)


def tell_counts(cells: AnnData) -> str:
    """Say why a table of cells has no counts; nothing where it has them."""
    if has_counts(cells):
        return ""
    reason = str(cells.uns.get(LEFT_OUT, "its tables were prepared without them"))
    return f"This checkpoint holds no measured counts, as {reason}."


def measured_expression(cells: AnnData, gene: str) -> npt.NDArray[np.float64]:
    """A gene's measured expression in each cell: (n,) in log2 units.

    Raises
    ------
    ConfigError
        Without counts, or for an unknown gene.
    """
    if not has_counts(cells):
        raise ConfigError(tell_counts(cells))
    at = _place(gene, cells.var_names)
    column = np.asarray(sparse.csc_matrix(cells.X[:, [at]]).todense(), float).ravel()
    total = np.asarray(cells.obs["library_size"], float)
    return np.asarray(np.log2(COUNTS_PER_CELL * column / total + 1.0))


def expected_expression(
    model: PerturbationModel, cells: AnnData, gene: str, space: Space
) -> npt.NDArray[np.float64]:
    """A gene's expression in each cell as the decoder expects it: (n,) in log2 units.

    Parameters
    ----------
    model
        The checkpoint's model.
    cells
        Its table of cells.
    gene
        One of the model's.
    space
        "basal" for the cell without its perturbation, "full" for the cell as it is.

    Raises
    ------
    ConfigError
        For an unknown gene.
    """
    at = _place(gene, model.gene_names)
    blocks = _decoded(model, cells, np.arange(cells.n_obs), space)
    return np.concatenate([values[:, at] for values in blocks])


def mean_expression(
    cells: AnnData, rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean measured expression of every gene in some cells, and the share of them that detect it.

    Returns
    -------
    Two (G,) arrays: log2 units, and shares in [0, 1].
    """
    counts = sparse.csr_matrix(cells.X[rows])
    mean = np.asarray(log_normalise(counts).mean(axis=0)).ravel()
    return mean, np.asarray(counts.getnnz(axis=0)) / max(len(rows), 1)


def mean_expected(
    model: PerturbationModel, cells: AnnData, rows: npt.NDArray[np.intp], space: Space
) -> npt.NDArray[np.float64]:
    """Mean over some cells of every gene's expected expression: (G,) in log2 units."""
    total = np.zeros(len(model.gene_names))
    for values in _decoded(model, cells, rows, space):
        total += values.sum(axis=0)
    return total / max(len(rows), 1)


def dosages(model: PerturbationModel, conditions: pd.Series) -> npt.NDArray[np.float32]:
    """Doses of the model's perturbations in conditions by name (``A+B``, ``A@0.5``): (n, T)."""
    names = {str(name): at for at, name in enumerate(model.perturbation_names)}
    labels, inverse = np.unique(conditions.astype(str).to_numpy(), return_inverse=True)
    table = np.zeros((len(labels), len(names)), np.float32)
    for row, label in enumerate(labels):
        if label == model.control:
            continue
        for part in [label] if label in names else label.split("+"):
            name, _, dose = (part, "", "1") if part in names else part.rpartition("@")
            table[row, names[name]] = float(dose)
    return np.asarray(table[inverse])


@torch.no_grad()
def _decoded(
    model: PerturbationModel, cells: AnnData, rows: npt.NDArray[np.intp], space: Space
) -> Iterator[npt.NDArray[np.float64]]:
    """Expected expression of all genes, some of the cells at a time."""
    module = model.module
    like = module.log_concentration
    states = np.asarray(cells.obsm[STATES[space]], np.float32)
    at_once = max(1, _AT_ONCE // len(model.gene_names))
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        z = torch.from_numpy(states[part]).to(like)
        doses = np.zeros((len(part), module.n_perturbations), np.float32)
        if space == "full" and not model.has_shift:
            doses = dosages(model, cells.obs["condition"].iloc[part])
        state = module.state(z, torch.zeros_like(z), torch.from_numpy(doses).to(like))
        share = module.log_proportions(state).double().exp()
        yield torch.log2(COUNTS_PER_CELL * share + 1.0).cpu().numpy()


def _place(gene: str, names: pd.Index) -> int:
    at = int(names.get_indexer(pd.Index([gene]))[0])
    if at < 0:
        raise ConfigError(f"There is no gene {gene!r} in this checkpoint: choose one it has.")
    return at
