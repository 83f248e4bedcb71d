"""What one perturbation is: its mask, its nearest perturbations and the genes that it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sams_core.analysis.effect_tables import Cells, condition_table, listed, pearson
from sams_core.analysis.mask_tables import open_entries
from sams_core.errors import ConfigError

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.perturbation_model import PerturbationModel

N_DRAWS = 256
"""Posterior draws behind the interval of a cosine."""
_MAX_ELEMENTS = 8_000_000


def mask_row(masks: AnnData, perturbation: str, threshold: float) -> pd.DataFrame:
    """A perturbation's latent dimensions: the open ones first, then by the size of the effect.

    Returns
    -------
    DataFrame indexed by latent: ``inclusion``, ``open``, ``effect`` and ``effect_sd`` (posterior
    mean and standard deviation, basal s.d.), and ``n_others`` that open it too.
    """
    row = _row(masks, perturbation)
    is_open = open_entries(masks, threshold)
    table = pd.DataFrame(
        {
            "inclusion": np.asarray(masks.X, float)[row],
            "open": is_open[row],
            "effect": np.asarray(masks.layers["effect"], float)[row],
            "effect_sd": np.asarray(masks.layers["effect_sd"], float)[row],
            "n_others": is_open.sum(0) - is_open[row],
        },
        index=pd.Index(masks.var_names.astype(str), name="latent"),
    )
    return table.iloc[np.lexsort((-table["effect"].abs(), ~table["open"]))]


def nearest_perturbations(
    model: PerturbationModel,
    masks: AnnData,
    effects: AnnData,
    perturbation: str,
    *,
    threshold: float = 0.5,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Order the other perturbations by how alike their latent effects are.

    Parameters
    ----------
    model
        A trained model.
    masks, effects
        The checkpoint's tables; of the mask table any rows.
    perturbation
        The one to compare with.
    threshold
        Inclusion probability from which an entry counts as open.
    n_draws
        Posterior draws of E and M.
    seed
        Of the draws.

    Returns
    -------
    DataFrame indexed by perturbation, the largest cosine first: ``cosine`` between effects E * M
    (mean over posterior draws; 0 in a draw in which either does nothing), ``cosine_lower`` and
    ``cosine_upper`` (5 % and 95 % of draws), ``shared`` (names of the latents that both open),
    ``model_correlation`` and ``data_correlation`` (Pearson, over genes, of the predicted and of
    the measured expression effects; NaN where there are none), ``n_cells_train`` and
    ``n_significant``. Cosines are NaN where perturbations are no shift of the latent state; the
    predicted effects' correlation then sets the order.

    Raises
    ------
    ConfigError
        For an unknown perturbation.
    """
    row = _row(masks, perturbation)
    is_open = open_entries(masks, threshold)
    latents = np.asarray(masks.var_names.astype(str))
    place = model.perturbation_names.get_indexer(pd.Index(masks.obs_names.astype(str)))
    cosines = shift_cosines(model, int(place[row]), n_draws=n_draws, seed=seed)[:, place]
    lower, upper = np.quantile(cosines, [0.05, 0.95], axis=0)
    table = pd.DataFrame(
        {
            "cosine": cosines.mean(0),
            "cosine_lower": lower,
            "cosine_upper": upper,
            "shared": [", ".join(latents[both]) for both in is_open & is_open[row]],
            "model_correlation": _correlations(np.asarray(effects.X), masks, effects, row),
            "data_correlation": _correlations(
                np.asarray(effects.layers["data_ate"]), masks, effects, row
            ),
            "n_cells_train": masks.obs["n_cells_train"].to_numpy(),
            "n_significant": masks.obs["n_significant"].to_numpy(),
        },
        index=pd.Index(masks.obs_names.astype(str), name="perturbation"),
    ).drop(index=perturbation)
    if not model.has_shift:
        table[["cosine", "cosine_lower", "cosine_upper"]] = np.nan
    order = ["cosine", "model_correlation"]
    return table.sort_values(order, ascending=False, kind="stable")


@torch.no_grad()
def shift_cosines(
    model: PerturbationModel, row: int, *, n_draws: int = N_DRAWS, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Cosines between the latent effect of one perturbation and of each: (draws, T).

    Parameters
    ----------
    model
        A trained model.
    row
        Number of the perturbation in the model.
    n_draws
        Posterior draws of E and M, shared by all perturbations.
    seed
        Of the draws.
    """
    module = model.module
    generator = torch.Generator(device=module.log_concentration.device).manual_seed(seed)
    at_once = max(1, _MAX_ELEMENTS // (module.n_perturbations * module.particle_width))
    parts = []
    for start in range(0, n_draws, at_once):
        draws = module.sample_shift_parameters(min(at_once, n_draws - start), generator)
        effect = draws.effect  # (P, T, L)
        length = torch.linalg.vector_norm(effect, dim=-1)
        products = torch.einsum("ptl,pl->pt", effect, effect[:, row])
        scale = length * length[:, row, None]
        parts.append(torch.where(scale > 0, products / scale.clamp_min(1e-30), 0.0))
    return torch.cat(parts).clamp(-1, 1).double().cpu().numpy()


def describe_nearest(table: pd.DataFrame, perturbation: str) -> str:
    """Say which perturbations are nearest (from :func:`nearest_perturbations`)."""
    alike = table[table["cosine_lower"] > 0]
    if table["cosine"].isna().all():
        return "This model's perturbations are no shift of the latent state, so none is nearest."
    if alike.empty:
        return (
            f"No other perturbation has an effect that points the way of {perturbation}'s in 95 % "
            "of posterior draws."
        )
    first = alike.iloc[0]
    names = listed(alike.index, limit=3)
    verb = "points" if len(alike) == 1 else "point"
    text = (
        f"{names} {verb} the way of {perturbation} in 95 % of posterior draws; {alike.index[0]} "
        f"most, with a cosine of {first['cosine']:.2f} (90 % interval {first['cosine_lower']:.2f} "
        f"to {first['cosine_upper']:.2f})"
    )
    if np.isfinite(first["data_correlation"]):
        text += f"; their measured expression effects correlate {first['data_correlation']:.2f}"
    return f"{text}."


def moved_genes(
    effects: AnnData, condition: str, *, cells: Cells = "all", limit: int = 20
) -> pd.DataFrame:
    """Genes that a condition moves most, in the model or in the data.

    Parameters
    ----------
    effects
        The checkpoint's table of effects.
    condition
        Its name there.
    cells
        Which cells to measure in.
    limit
        Genes from either ranking.

    Returns
    -------
    Rows of :func:`sams_core.analysis.effect_tables.condition_table` with ``model_rank`` and
    ``data_rank`` (from 1, by absolute effect; data without a measurement rank nowhere), in the
    order of the better rank.

    Raises
    ------
    ConfigError
        When the condition was not measured.
    """
    if condition not in effects.obs_names:
        raise ConfigError(f"There are no effects of {condition!r}: name a measured condition.")
    table = condition_table(effects, condition, cells=cells)
    for name in ("model", "data"):
        size = table[name].abs()
        table[f"{name}_rank"] = size.rank(ascending=False, method="first")
    best = table[["model_rank", "data_rank"]].min(axis=1)
    return table.loc[best[best <= limit].sort_values(kind="stable").index]


def _row(masks: AnnData, perturbation: str) -> int:
    names = [str(name) for name in masks.obs_names]
    if perturbation not in names:
        raise ConfigError(f"The model knows no perturbation {perturbation!r}: choose one it has.")
    return names.index(perturbation)


def _correlations(
    values: npt.NDArray[np.floating], masks: AnnData, effects: AnnData, row: int
) -> npt.NDArray[np.float64]:
    """Correlation over genes of each perturbation's effects with those of one: (T,)."""
    place = {str(name): number for number, name in enumerate(effects.obs_names)}
    rows = [place.get(str(name)) for name in masks.obs_names]
    mine = rows[row]
    if mine is None:
        return np.full(len(rows), np.nan)
    own = np.asarray(values[mine], float)
    return np.array(
        [np.nan if r is None else pearson(np.asarray(values[r], float), own) for r in rows]
    )
