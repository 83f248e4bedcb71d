"""How tables of effects are headed and written on every page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from sams_core.explorer.glossary import GLOSSARY

_NUMBER = st.column_config.NumberColumn
_TEXT = st.column_config.TextColumn
_FDR = _NUMBER("FDR", format="%.1e", help=f"{GLOSSARY['FDR']} 1.0e-38 stands for anything smaller.")

EFFECTS = {
    "gene": _TEXT("Gene", pinned=True),
    "perturbation": _TEXT("Perturbation", pinned=True),
    "model": _NUMBER("Model", format="%.3f", help=GLOSSARY["ATE"]),
    "model_se": _NUMBER("± (model)", format="%.3f", help="Standard error from sampling the model."),
    "data": _NUMBER("Data", format="%.3f", help=GLOSSARY["log-fold-change"]),
    "data_se": _NUMBER("± (data)", format="%.3f", help=GLOSSARY["standard error"]),
    "fdr": _FDR,
    "mean_control": _NUMBER(
        "Control", format="%.2f", help="Mean log2(counts per 10,000 + 1) over control cells."
    ),
    "frac_detected": _NUMBER(
        "Detected", format="percent", help="Share of all cells with a count of this gene."
    ),
    "n_cells": _NUMBER("Cells", format="localized"),
    "seen_in_training": st.column_config.CheckboxColumn(
        "Seen in training", help="Whether the model was trained on any cell with this perturbation."
    ),
}
"""Columns of `sams_core.analysis.effect_tables.condition_table` and ``gene_table``."""

FITS = {
    "perturbation": EFFECTS["perturbation"],
    "pearson": _NUMBER("Pearson", format="%.2f", help=GLOSSARY["Pearson"]),
    "ceiling": _NUMBER("Ceiling", format="%.2f", help=GLOSSARY["ceiling"]),
    "percent_of_ceiling": _NUMBER(
        "Reached",
        format="%.0f%%",
        help="Pearson divided by its ceiling: how much of what can be predicted is.",
    ),
    "pearson_top20": _NUMBER("Top 20", format="%.2f", help=GLOSSARY["top 20"]),
    "ceiling_top20": _NUMBER(
        "Its ceiling", format="%.2f", help="The ceiling over the perturbation's top 20 genes."
    ),
    "n_cells_train": _NUMBER(
        "Trained on", format="localized", help="Training cells with this perturbation."
    ),
    "n_cells_test": _NUMBER("Held out", format="localized", help=GLOSSARY["held-out cells"]),
    "n_significant": _NUMBER("Genes", help="Significant genes at an FDR of 5%, in all cells."),
    "seen_in_training": st.column_config.CheckboxColumn(
        "Seen", help="Whether the model was trained on any cell with this perturbation."
    ),
}
"""Columns of `sams_core.analysis.effect_tables.fit_table`."""


PERTURBATIONS = {
    "perturbation": EFFECTS["perturbation"],
    "n_cells": EFFECTS["n_cells"],
    "n_significant": FITS["n_significant"],
    "n_open": _NUMBER("Open latents", help="How many latent dimensions it shifts."),
    "open_latents": _TEXT("Which latents", help="The latent dimensions it shifts."),
}
"""Columns of `sams_core.analysis.latent_tables.perturbation_table`; annotations follow."""


def combination(columns: Iterable[str], singles: Iterable[str]) -> dict[str, Any]:
    """Columns of a combination's table: shifts are shown, their errors only saved as CSV."""
    shown = {
        "predicted": _NUMBER(
            "Prediction", format="%.3f", help="Shift from control as the model predicts it."
        ),
        "additive": _NUMBER("Sum", format="%.3f", help=GLOSSARY["additive expectation"]),
        "interaction": _NUMBER(
            "Deviation", format="%.3f", help="Prediction minus sum of the singles."
        ),
        "measured": _NUMBER("Measured", format="%.3f", help=GLOSSARY["log-fold-change"]),
        "fdr": _FDR,
    }
    shown |= {
        name: _NUMBER(name, format="%.3f", help=f"Predicted shift from control with {name} alone.")
        for name in singles
    }
    hidden: dict[str, Any] = dict.fromkeys(column for column in columns if column not in shown)
    return {"gene": EFFECTS["gene"]} | hidden | shown
