"""The cells in which a combination is predicted: their states before anything is done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sams_core.errors import ConfigError

if TYPE_CHECKING:
    from anndata import AnnData

BATCH = "batch"
"""Column of the table of cells that holds the batch, where the screen has any."""
MIN_CELLS = 10
"""With fewer cells a background says too little."""
MAX_LEVELS = 30
"""Columns with more values than this do not divide cells into backgrounds."""
_NOT_GROUPS = ("condition", "n_perturbations", "split", "perturbation")


@dataclass(frozen=True)
class Background:
    """Latent states of n cells before anything is done to them.

    Attributes
    ----------
    means
        (n, L) posterior means of z_basal.
    spread
        (L,) standard deviation of a cell's state about its posterior mean.
    batch
        Number of the batch that the decoder is told; None for the average batch.
    words
        What the cells are, in the plural.
    """

    means: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]
    batch: int | None
    words: str

    def __len__(self) -> int:
        return len(self.means)

    def draw(self, shape: tuple[int, int], generator: torch.Generator, like: Tensor) -> Tensor:
        """Draw states, without replacement as far as the cells go: (*shape, 1, L).

        Parameters
        ----------
        shape
            Blocks, and states in each.
        generator
            Of the draws, on the device of ``like``.
        like
            Has the dtype and the device.
        """
        n, wanted = len(self), shape[0] * shape[1]
        rounds = [
            torch.randperm(n, generator=generator, device=like.device)
            for _ in range(-(-wanted // n))
        ]
        rows = torch.cat(rounds)[:wanted]
        means = torch.as_tensor(self.means).to(like)[rows]
        noise = torch.randn(means.shape, generator=generator, device=like.device, dtype=like.dtype)
        states = means + noise * torch.as_tensor(self.spread).to(like)
        return states.view(*shape, 1, -1)

    def batch_index(self, like: Tensor) -> Tensor | None:
        """Number of the batch as the decoder takes it: (1,)."""
        return None if self.batch is None else torch.tensor([self.batch], device=like.device)


def background_cells(
    cells: AnnData,
    rows: Sequence[int] | npt.NDArray[np.intp],
    *,
    words: str = "chosen cells",
    batches: Sequence[str] | None = None,
) -> Background:
    """The background that some of a checkpoint's cells make.

    Posterior means spread less than the cells' states do. By the model the states of all cells
    together have variance 1 in every latent dimension; what the means lack of it is put back.

    Parameters
    ----------
    cells
        The checkpoint's table of cells; of perturbed cells the basal state counts.
    rows
        Which of them.
    words
        What they are, in the plural.
    batches
        The model's batches: cells of one batch are decoded as of this batch, others as of the
        average batch.

    Raises
    ------
    ConfigError
        For fewer than `MIN_CELLS` cells.
    """
    chosen = np.unique(np.asarray(rows, dtype=np.intp))
    if len(chosen) < MIN_CELLS:
        raise ConfigError(
            f"The background has {len(chosen):,} cells: choose at least {MIN_CELLS}, or predict "
            "for typical unperturbed cells."
        )
    basal = np.asarray(cells.obsm["z_basal"], dtype=np.float32)
    spread = np.sqrt(np.clip(1 - basal.var(axis=0), 0, 1))
    batch = None
    if batches and BATCH in cells.obs:
        levels = cells.obs[BATCH].iloc[chosen].astype(str).unique()
        batch = list(batches).index(levels[0]) if len(levels) == 1 else None
    return Background(basal[chosen], spread.astype(np.float32), batch, words)


def control_rows(
    cells: AnnData, control: str, groups: Mapping[str, str] | None = None
) -> list[int]:
    """Rows of control cells, of those with certain values in columns of the table.

    Parameters
    ----------
    cells
        The checkpoint's table of cells.
    control
        Label of the control condition.
    groups
        Value of each column to keep.
    """
    keep = (cells.obs["condition"].astype(str) == control).to_numpy()
    for column, value in (groups or {}).items():
        keep &= (cells.obs[column].astype(str) == value).to_numpy()
    return [int(row) for row in np.flatnonzero(keep)]


def control_groups(cells: AnnData, control: str) -> list[tuple[str, str]]:
    """Columns and values that hold some but not all control cells, `MIN_CELLS` at least."""
    obs = cells.obs.iloc[control_rows(cells, control)]
    found = []
    for column in obs.columns:
        values = obs[column]
        whole = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        if column in _NOT_GROUPS or (whole and not pd.api.types.is_integer_dtype(values)):
            continue
        counts = values.dropna().astype(str).value_counts()
        if 1 < len(counts) <= MAX_LEVELS:
            found += [(str(column), str(v)) for v in sorted(counts.index) if counts[v] >= MIN_CELLS]
    return found
