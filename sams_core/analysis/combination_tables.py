"""Tables behind the combine page: a prediction, what it is made of, and its measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sams_core.analysis.combination_trust import dosage_matrix, training_dosages
from sams_core.analysis.effect_tables import (
    CELL_WORDS,
    Cells,
    condition_table,
    pearson,
    two_digits,
)
from sams_core.analysis.mask_tables import OPEN_THRESHOLD, open_entries

if TYPE_CHECKING:
    from anndata import AnnData

FAR = 1.25
"""How many times farther than in training a shift may go without a warning."""
NEGLIGIBLE = 0.05
"""Deviations from the sum below it, in log2 units (about 3.5 %), are not worth a word."""


def default_combination(effects: AnnData, masks: AnnData) -> list[str]:
    """Choose the combination to open on.

    A measured one whose single perturbations were all measured too, with the most cells, then the
    most significant genes; else any measured one. Without any, the perturbation with the most
    significant genes and the next one that opens other latent dimensions.
    """
    obs = effects.obs
    measured = set(obs.index[obs["n_perturbations"].astype(int) == 1].astype(str))
    combined = obs[obs["n_perturbations"].astype(int) > 1]
    if len(combined):
        whole = [set(str(name).split("+")) <= measured for name in combined["perturbations"]]
        ranked = combined.assign(whole=whole).sort_values(
            ["whole", "n_cells", "n_significant"], ascending=False, kind="stable"
        )
        return str(ranked["perturbations"].iloc[0]).split("+")
    strongest = masks.obs["n_significant"].astype(int).sort_values(ascending=False, kind="stable")
    names = [str(name) for name in strongest.index]
    is_open = pd.DataFrame(open_entries(masks, OPEN_THRESHOLD), index=masks.obs_names.astype(str))
    others = [
        name
        for name in names[1:]
        if is_open.loc[name].any() and not (is_open.loc[name] & is_open.loc[names[0]]).any()
    ]
    return [*names[:1], *(others or names[1:])[:1]]


def extrapolation(masks: AnnData, effects: AnnData, doses: Mapping[str, float]) -> str:
    """Say so when a combination goes farther than training did along a latent dimension.

    Parameters
    ----------
    masks, effects
        The checkpoint's tables; shifts of conditions are the sums of their perturbations' mean
        effects, each times its dose.
    doses
        Dose of each perturbation of the combination.

    Returns
    -------
    A warning, or nothing where training went nearly as far along every dimension.
    """
    shift = np.asarray(masks.layers["effect"], dtype=float)
    _, dosages = training_dosages(effects, masks)
    reached = np.abs(np.vstack([np.zeros_like(shift[:1]), dosages @ shift])).max(axis=0)
    wanted = np.abs(dosage_matrix([doses], masks)[0] @ shift)
    ratio = wanted / np.maximum(reached, 1.0)
    farthest = int(ratio.argmax())
    if ratio[farthest] <= FAR:
        return ""
    return (
        f"This is an extrapolation: along latent dimension {masks.var_names[farthest]} the shifts "
        f"add up to {wanted[farthest]:.1f}, but no condition in training went beyond "
        f"{reached[farthest]:.1f} (in units where unperturbed cells spread by about "
        "1). Perturbations of one pathway often do less together than the model's sum says."
    )


def trained_combinations(effects: AnnData) -> list[str]:
    """Combinations that training cells have, most cells first."""
    obs = effects.obs[effects.obs["n_perturbations"].astype(int) > 1]
    seen = obs[obs["seen_in_training"].astype(bool)]
    ranked = seen.sort_values("n_cells_train", ascending=False, kind="stable")
    return [str(name) for name in ranked.index]


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
