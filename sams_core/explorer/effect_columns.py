"""How the tables of the effects page are headed and written."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sams_core.explorer.columns import EFFECTS
from sams_core.explorer.glossary import GLOSSARY

_NUMBER = st.column_config.NumberColumn
_CHECK = st.column_config.CheckboxColumn

SHOWN = ["model", "data", "fdr", "ppc_p", "outside", "predicted_low", "predicted_high"]
"""Columns of one condition's table that come first."""

STATISTICS: dict[str, Any] = EFFECTS | {
    "predicted_low": _NUMBER(
        "Expected from", format="%.3f", help=f"{GLOSSARY['predictive interval']} Its lower end."
    ),
    "predicted_high": _NUMBER(
        "to", format="%.3f", help=f"{GLOSSARY['predictive interval']} Its upper end."
    ),
    "ppc_p": _NUMBER("PPC p", format="%.4f", help=GLOSSARY["predictive p-value"]),
    "outside": _CHECK(
        "Outside", help="Whether the measured effect lies outside the expected interval."
    ),
    "residual": _NUMBER(
        "Data − model", format="%.3f", help="Measured effect minus the model's: the residual."
    ),
    "residual_z": _NUMBER(
        "Residual / sd",
        format="%.1f",
        help="The residual over the standard deviation that the model expects of measurements.",
    ),
    "ppc_fdr": _NUMBER(
        "PPC FDR", format="%.3f", help="PPC p, adjusted over all genes (Benjamini-Hochberg)."
    ),
    "model_fdr": _NUMBER("Expected FDR", format="%.1e", help=GLOSSARY["expected significance"]),
    "effect_low": _NUMBER(
        "Effect from",
        format="%.3f",
        help="90% of the model's posterior draws of the effect lie above this and below the next: "
        "what it is unsure of, without the noise of measured cells.",
    ),
    "effect_high": _NUMBER("to ", format="%.3f", help="Upper end of the same interval."),
    **dict.fromkeys(
        (
            "model_se", "data_se", "statistic", "p_value", "model_p", "predicted_sd", "n_cells",
            "n_control_cells", "seen_in_training",
        )
    ),
}  # fmt: skip
"""Columns of `sams_core.analysis.effect_statistics.gene_statistics`; None are only in the CSV."""

LISTS: dict[str, Any] = {
    "perturbation": EFFECTS["perturbation"],
    "model": _NUMBER(
        "Model", format="%.3f", help="Mean effect over the list, as the model predicts it; log2."
    ),
    "data": _NUMBER("Data", format="%.3f", help="Mean effect over the list, as measured; log2."),
    "model_size": _NUMBER(
        "Size (model)", format="%.3f", help="Root mean square effect over the list, any direction."
    ),
    "data_size": _NUMBER(
        "Size (data)",
        format="%.3f",
        help="The same as measured; measurement noise adds to it where cells are few.",
    ),
    "n_significant": _NUMBER("Genes", help="Genes of the list that are significant."),
    "p_value": _NUMBER("p", format="%.1e", help=GLOSSARY["rank-sum test"]),
    "fdr": _NUMBER(
        "List FDR", format="%.1e", help="p, adjusted over perturbations (Benjamini-Hochberg)."
    ),
    "n_cells": EFFECTS["n_cells"],
    "seen_in_training": EFFECTS["seen_in_training"],
}
"""Columns of `sams_core.analysis.effect_gene_lists.gene_list_table`."""
