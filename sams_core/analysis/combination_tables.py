"""Tables behind the combine page: a prediction, what it is made of, and its measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from sams_core.analysis.effect_tables import (
    CELL_WORDS,
    Cells,
    condition_table,
    pearson,
    two_digits,
)

if TYPE_CHECKING:
    from anndata import AnnData

NEGLIGIBLE = 0.05
"""Deviations from the sum below it, in log2 units (about 3.5 %), are not worth a word."""


def measured_condition(effects: AnnData, perturbations: Sequence[str]) -> str | None:
    """Name the measured condition with exactly these perturbations in any order, or None.

    Conditions at other doses than 1 carry the dose in their name and do not count.
    """
    wanted = frozenset(perturbations)
    names = (str(name) for name in effects.obs_names)
    return next((name for name in names if frozenset(name.split("+")) == wanted), None)


def default_combination(effects: AnnData) -> list[str]:
    """Return the measured combination with the most cells, else the two strongest singles."""
    obs = effects.obs
    combined = obs[obs["n_perturbations"].astype(int) > 1]
    if len(combined):
        best = combined["n_cells"].astype(int).idxmax()
        return str(combined.loc[best, "perturbations"]).split("+")
    strongest = obs["n_significant"].astype(int).sort_values(ascending=False, kind="stable")
    return obs.loc[strongest.index, "perturbations"].astype(str).unique()[:2].tolist()


def add_measurement(
    prediction: pd.DataFrame, effects: AnnData, condition: str | None, *, cells: Cells
) -> pd.DataFrame:
    """Put the measurement of ``condition`` beside a prediction.

    Parameters
    ----------
    prediction
        The table of `sams_core.analysis.combinations.predict_combination`.
    condition
        Its name among the effects, or None where the combination was not measured.

    Returns
    -------
    The prediction with ``measured``, ``measured_se`` and ``fdr`` added if it was measured.
    """
    if condition is None:
        return prediction
    data = condition_table(effects, condition, cells=cells)
    data.index = effects.var_names.astype(str)
    data = data.reindex(prediction.index)
    return prediction.assign(measured=data["data"], measured_se=data["data_se"], fdr=data["fdr"])


def in_reading_order(table: pd.DataFrame) -> pd.DataFrame:
    """Order a table of `add_measurement` for reading: what matters first, strongest genes first."""
    first = ["predicted", "additive", "interaction", "measured", "fdr"]
    columns = [column for column in first if column in table]
    columns += [str(column) for column in table if column not in columns]
    strength = table["predicted"].abs().sort_values(ascending=False, kind="stable")
    return table.loc[strength.index, columns]


def detectable(table: pd.DataFrame) -> pd.Series:
    """Genes that the model moves otherwise than the sum of the singles, and by how much matters.

    The 90 % interval of the deviation leaves out zero, the deviation is beyond twice its Monte
    Carlo error, and it is at least `NEGLIGIBLE`.
    """
    size = table["interaction"].abs()
    outside = (table["interaction_lower"] > 0) | (table["interaction_upper"] < 0)
    return outside & (size > 2 * table["interaction_se"]) & (size >= NEGLIGIBLE)


def describe_interaction(table: pd.DataFrame) -> str:
    """Say in plain words whether the prediction differs from the sum of the singles."""
    hits = table[detectable(table)]
    if hits.empty:
        return (
            f"No interaction detectable: for none of {len(table):,} genes does the prediction "
            f"differ from the sum of the singles by {NEGLIGIBLE} or more and beyond its "
            "uncertainty."
        )
    strongest = int(hits["interaction"].abs().to_numpy().argmax())
    largest = float(hits["interaction"].iloc[strongest])
    verb = "differs" if len(hits) == 1 else "differ"
    return (
        f"{len(hits):,} of {len(table):,} genes {verb} from the sum of the singles beyond the "
        f"uncertainty; the largest deviation is {largest:+.2f} for {hits.index[strongest]}."
    )


def describe_measurement(table: pd.DataFrame, condition: pd.Series, words: str) -> str:
    """Say how well the prediction and the plain sum fit a measured combination.

    Parameters
    ----------
    table
        From `add_measurement`.
    condition
        Its row among the effects' ``obs``.
    words
        Which cells it was measured in.
    """
    number = int(condition["n_cells_test" if words == CELL_WORDS["held-out"] else "n_cells"])
    measured = table["measured"].to_numpy()
    predicted = two_digits(pearson(table["predicted"].to_numpy(), measured))
    additive = two_digits(pearson(table["additive"].to_numpy(), measured))
    text = (
        f"Over all genes, the prediction correlates {predicted} with what was measured ({words}, "
        f"{number:,} in number); the sum of the singles {additive}."
    )
    if pd.notna(condition["ceiling"]):
        text += (
            f" Training cells reach {condition['ceiling']:.2f} on held-out cells of this "
            "combination: the ceiling that measurement noise sets."
        )
    return text


def as_effects(table: pd.DataFrame) -> pd.DataFrame:
    """Prediction and measurement in the columns that `effects.effect_scatter` draws."""
    return pd.DataFrame(
        {
            "model": table["predicted"],
            "model_se": table["predicted_sd"],
            "data": table["measured"],
            "data_se": table["measured_se"],
            "fdr": table["fdr"],
        }
    )
