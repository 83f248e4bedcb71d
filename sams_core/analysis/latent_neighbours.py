"""Which perturbations are nearest in the space of shifts, and how sure the posterior is of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sams_core.analysis.effect_tables import listed

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.perturbation_model import PerturbationModel

N_DRAWS = 256
SURE = 0.95
"""Share of posterior draws in which two shifts must point the same way to be joined."""
_MAX_ELEMENTS = 16_000_000


class Likeness(NamedTuple):
    """Likeness of the shifts of all pairs of perturbations.

    Attributes
    ----------
    cosine
        (T, T) mean over posterior draws of the cosine between shifts E * M; 0 in a draw in which
        either does nothing.
    share_positive
        (T, T) share of draws with a cosine above 0.
    """

    cosine: npt.NDArray[np.float32]
    share_positive: npt.NDArray[np.float32]


@torch.no_grad()
def likeness(model: PerturbationModel, *, n_draws: int = N_DRAWS, seed: int = 0) -> Likeness:
    """Cosines between the posterior shifts of all pairs of the model's perturbations.

    Parameters
    ----------
    model
        A trained model.
    n_draws
        Posterior draws of E and M, shared by all pairs.
    seed
        Of the draws.
    """
    module = model.module
    T = module.n_perturbations
    generator = torch.Generator(device=module.log_concentration.device).manual_seed(seed)
    total = module.log_concentration.new_zeros(T, T)
    positive = torch.zeros_like(total)
    at_once = max(1, _MAX_ELEMENTS // (T * max(T, module.particle_width)))
    for start in range(0, n_draws, at_once):
        draws = module.sample_shift_parameters(min(at_once, n_draws - start), generator)
        length = torch.linalg.vector_norm(draws.effect, dim=-1, keepdim=True)
        unit = torch.where(length > 0, draws.effect / length.clamp_min(1e-30), 0.0)  # (P, T, L)
        cosine = unit @ unit.mT
        total += cosine.sum(0)
        positive += (cosine > 0).sum(0)
    mean = (total / n_draws).clamp(-1, 1)
    return Likeness(mean.cpu().numpy(), (positive / n_draws).cpu().numpy())


def nearest_edges(
    found: Likeness, model: PerturbationModel, masks: AnnData, *, n_neighbours: int
) -> pd.DataFrame:
    """Pairs of which one is among the other's nearest perturbations, the most alike first.

    Only pairs whose shifts point the same way in `SURE` of all posterior draws.

    Parameters
    ----------
    found
        From :func:`likeness`.
    model
        The same model.
    masks
        The checkpoint's mask table, any rows: only these perturbations are joined.
    n_neighbours
        Nearest perturbations of each.

    Returns
    -------
    DataFrame: ``first``, ``second``, ``cosine``, ``share_positive`` and ``mutual`` (whether each
    is among the other's nearest).
    """
    names = masks.obs_names.astype(str)
    place = model.perturbation_names.get_indexer(pd.Index(names))
    cosine = found.cosine[np.ix_(place, place)].astype(float)
    sure = found.share_positive[np.ix_(place, place)] >= SURE
    np.fill_diagonal(sure, False)
    ranked = np.argsort(np.where(sure, -cosine, np.inf), axis=1, kind="stable")[:, :n_neighbours]
    is_near = np.zeros_like(sure)
    np.put_along_axis(is_near, ranked, True, axis=1)
    is_near &= sure
    first, second = np.nonzero(np.triu(is_near | is_near.T))
    table = pd.DataFrame(
        {
            "first": np.asarray(names)[first],
            "second": np.asarray(names)[second],
            "cosine": cosine[first, second],
            "share_positive": found.share_positive[np.ix_(place, place)][first, second],
            "mutual": (is_near & is_near.T)[first, second],
        }
    )
    return table.sort_values("cosine", ascending=False, kind="stable").reset_index(drop=True)


def tell_edges(edges: pd.DataFrame, n_perturbations: int) -> str:
    """Say how many perturbations have a neighbour, and which are most alike."""
    if edges.empty:
        return "No two perturbations shift cells the same way in 95% of posterior draws."
    joined = pd.unique(edges[["first", "second"]].to_numpy().ravel())
    closest = [f"{row.first} and {row.second} ({row.cosine:.2f})" for row in edges[:2].itertuples()]
    return (
        f"{len(joined):,} of {n_perturbations:,} perturbations have a neighbour whose shift points "
        f"the same way in 95% of posterior draws. Most alike, by cosine: {listed(closest)}."
    )
