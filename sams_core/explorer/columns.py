"""How tables of effects are headed and written on every page."""

from __future__ import annotations

import streamlit as st

from sams_core.explorer.glossary import GLOSSARY

_NUMBER = st.column_config.NumberColumn

EFFECTS = {
    "model": _NUMBER("Model", format="%.3f", help=GLOSSARY["ATE"]),
    "model_se": _NUMBER("± (model)", format="%.3f", help="Standard error from sampling the model."),
    "data": _NUMBER("Data", format="%.3f", help=GLOSSARY["log-fold-change"]),
    "data_se": _NUMBER("± (data)", format="%.3f", help=GLOSSARY["standard error"]),
    "fdr": _NUMBER("FDR", format="%.1e", help=GLOSSARY["FDR"]),
    "mean_control": _NUMBER("Mean in controls", format="%.2f"),
    "frac_detected": _NUMBER("Cells with it", format="percent"),
    "n_cells": _NUMBER("Cells", format="localized"),
    "seen_in_training": st.column_config.CheckboxColumn("Seen in training"),
}
"""Columns of `sams_core.analysis.effect_tables.condition_table` and ``gene_table``."""

FITS = {
    "pearson": _NUMBER("Pearson", format="%.2f", help=GLOSSARY["Pearson"]),
    "ceiling": _NUMBER("Ceiling", format="%.2f", help=GLOSSARY["ceiling"]),
    "percent_of_ceiling": _NUMBER(
        "Reached",
        format="%.0f%%",
        help="Pearson divided by its ceiling: how much of what can be predicted is.",
    ),
    "pearson_top20": _NUMBER("Top 20", format="%.2f", help=GLOSSARY["top 20"]),
    "ceiling_top20": _NUMBER("Ceiling, top 20", format="%.2f"),
    "n_cells_train": _NUMBER("Training cells", format="localized"),
    "n_cells_test": _NUMBER("Held-out cells", format="localized"),
    "n_significant": _NUMBER("Significant genes", help="At an FDR of 5 %, in all cells."),
    "seen_in_training": EFFECTS["seen_in_training"],
}
"""Columns of `sams_core.analysis.effect_tables.fit_table`."""
