"""Where cells with a combination would lie among the measured cells, by nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sams_core.analysis.combinations import TrainedModel
from sams_core.analysis.effect_tables import listed

if TYPE_CHECKING:
    from anndata import AnnData

N_CELLS = 200
"""Cells that are moved."""
N_NEIGHBOURS = 10
FAR_QUANTILE = 0.95
"""Share of measured cells that have another within the distance that counts as on the map."""


@dataclass(frozen=True)
class Landing:
    """Predicted places of cells.

    Attributes
    ----------
    cells
        One row a moved cell: ``from_x``, ``from_y`` (unperturbed) and ``x``, ``y`` (with the
        combination) on the stored map of the full latent space, ``distance`` to the nearest
        measured cell in the latent space and ``off_map`` (whether that is farther than for
        `FAR_QUANTILE` of the measured cells).
    neighbours
        Indexed by condition: ``share`` of the nearest measured cells and ``share_of_all`` cells,
        the most frequent first.
    """

    cells: pd.DataFrame
    neighbours: pd.DataFrame


@torch.no_grad()
def land(
    model: TrainedModel,
    cells: AnnData,
    doses: Mapping[str, float],
    rows: Sequence[int] | npt.NDArray[np.intp],
    *,
    seed: int = 0,
) -> Landing:
    """Shift cells by a combination and look for their nearest measured cells.

    A cell's basal state, the posterior mean, is moved by one posterior draw of the combination's
    shift. On the map it comes to the median position of its `N_NEIGHBOURS` nearest measured cells
    in the latent space, which is approximate.

    Parameters
    ----------
    model
        A trained model with shifts.
    cells
        The checkpoint's table of cells.
    doses
        Dose of each perturbation.
    rows
        Cells to move; of more than `N_CELLS`, so many are chosen at random.
    seed
        Of the choice and of the draws.
    """
    from sklearn.neighbors import NearestNeighbors

    chosen = np.unique(np.asarray(rows, dtype=np.intp))
    if len(chosen) > N_CELLS:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, N_CELLS, replace=False))
    basal = np.asarray(cells.obsm["z_basal"], dtype=np.float64)[chosen]
    measured = np.asarray(cells.obsm["z"], dtype=np.float64)
    moved = basal + _shifts(model, doses, len(chosen), seed)
    near = NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, len(measured))).fit(measured)
    places = np.asarray(cells.obsm["X_umap"], dtype=np.float64)
    distance, at = near.kneighbors(moved)
    _, origin = near.kneighbors(basal)
    own = near.kneighbors(n_neighbors=1)[0][:, 0]
    here, there = np.median(places[origin], axis=1), np.median(places[at], axis=1)
    found = pd.DataFrame(
        {
            "from_x": here[:, 0],
            "from_y": here[:, 1],
            "x": there[:, 0],
            "y": there[:, 1],
            "distance": distance[:, 0],
            "off_map": distance[:, 0] > np.quantile(own, FAR_QUANTILE),
        },
        index=pd.Index(cells.obs_names[chosen].astype(str), name="cell"),
    )
    return Landing(found, _neighbours(cells.obs["condition"].astype(str).to_numpy(), at))


def _shifts(
    model: TrainedModel, doses: Mapping[str, float], n: int, seed: int
) -> npt.NDArray[np.float64]:
    """Posterior draws of a combination's latent shift: (n, L)."""
    module = model.module
    like = module.log_concentration
    generator = torch.Generator(device=like.device).manual_seed(seed)
    columns = model.perturbation_names.get_indexer(pd.Index(list(doses)))
    sample = module.sample_shift_parameters(
        n, generator, torch.as_tensor(columns, device=like.device)
    )
    amounts = torch.as_tensor([list(doses.values())]).to(like)
    return module.shift(amounts, sample)[:, 0].double().cpu().numpy()


def _neighbours(conditions: npt.NDArray[np.object_], at: npt.NDArray[np.intp]) -> pd.DataFrame:
    share = pd.Series(conditions[at].ravel()).value_counts(normalize=True)
    table = pd.DataFrame(
        {
            "share": share,
            "share_of_all": pd.Series(conditions).value_counts(normalize=True)[share.index],
        }
    )
    table.index.name = "condition"
    return table


def describe_landing(landing: Landing) -> str:
    """Say next to which measured cells the moved cells come to lie, and how many to none."""
    shares = landing.neighbours
    first = [
        f"{name} ({row['share']:.0%}; {row['share_of_all']:.0%} of all cells)"
        for name, row in shares.head(3).iterrows()
    ]
    text = (
        f"The {N_NEIGHBOURS} measured cells nearest to each of {len(landing.cells):,} moved cells "
        f"are mostly of {listed(first)}."
    )
    off = float(landing.cells["off_map"].mean())
    if off >= 0.01:
        text += (
            f" {off:.0%} of the moved cells lie farther from any measured cell than "
            f"{FAR_QUANTILE:.0%} of measured cells do: the map has no true place for them."
        )
    return text
