"""Genetic-interaction scores of a pair as the model predicts it and, where it was, as measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sams_core.analysis.combination_background import Background
from sams_core.analysis.combination_doses import find_condition
from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.combinations import TrainedModel
from sams_core.analysis.effect_tables import Cells, condition_table
from sams_core.analysis.genetic_interactions import MIN_GENES, interaction_scores, scored_genes

if TYPE_CHECKING:
    from anndata import AnnData


def pair_scores(
    model: TrainedModel,
    effects: AnnData,
    doses: Mapping[str, float],
    *,
    library_size: float | None = None,
    background: Background | None = None,
    cells: Cells = "all",
) -> tuple[pd.DataFrame, int]:
    """Score a pair.

    Parameters
    ----------
    model
        A trained model.
    effects
        The checkpoint's table of effects, which says which genes are scored.
    doses
        Of two perturbations.
    library_size, background
        As for `sams_core.analysis.combinations.predict_combination`.
    cells
        Which cells to score the measurement in.

    Returns
    -------
    table
        From `sams_core.analysis.genetic_interactions.interaction_scores`, with ``measured`` added:
        the same score of the measured effects, NaN where the pair or a single was not measured.
    n_genes
        Number of genes that were scored.
    """
    first, second = doses
    genes = scored_genes(effects, [first, second])
    draws = combination_draws(
        model, [first, second], doses=doses, library_size=library_size, background=background
    )
    places = model.gene_names.get_indexer(effects.var_names[genes])
    table = interaction_scores(*draws[:, :, places], names=(first, second))
    table["measured"] = _measured(effects, doses, genes, cells)
    return table, int(genes.sum())


def _measured(
    effects: AnnData, doses: Mapping[str, float], genes: np.ndarray, cells: Cells
) -> pd.Series | float:
    first, second = doses
    conditions = [
        find_condition(effects, names, doses) for names in ([first], [second], [first, second])
    ]
    if None in conditions:
        return float("nan")
    parts = [
        condition_table(effects, str(condition), cells=cells)["data"].to_numpy()[genes]
        for condition in conditions
    ]
    known = np.isfinite(parts).all(axis=0)
    if known.sum() < MIN_GENES:
        return float("nan")
    return interaction_scores(*(part[known] for part in parts))["value"]
