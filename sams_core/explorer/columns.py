"""How tables of effects are headed and written on every page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from sams_core.analysis.markdown import escape
from sams_core.explorer.glossary import FIGURES, GLOSSARY

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


MASK_PERTURBATIONS = {
    "perturbation": EFFECTS["perturbation"],
    "group": _TEXT("Group", width=180, help="As chosen above the map."),
    "n_cells": _NUMBER(
        "Cells", format="localized", help="Cells with this perturbation, alone or not."
    ),
    "n_open": PERTURBATIONS["n_open"],
    "open_latents": _TEXT(
        "Which latents",
        width=170,
        help="The latent dimensions it shifts, the strongest shift first.",
    ),
    "strength": _NUMBER(
        "Shift",
        format="%.2f",
        help="Length of the whole shift, in units where unperturbed cells spread by about 1 in "
        "each dimension.",
    ),
    "n_significant": _NUMBER(
        "Genes", help="Genes that differ from control cells in the data at FDR 5%."
    ),
}
"""Columns of `sams_core.analysis.mask_tables.perturbation_table`."""

MASK_LATENTS = {
    "latent": _TEXT("Latent", pinned=True),
    "n_open": _NUMBER("Perturbations", help="How many perturbations shift it."),
    "mean_effect": _NUMBER(
        "Mean shift",
        format="%.2f",
        help="Mean size of their shifts, in units where unperturbed cells spread by about 1.",
    ),
    "perturbations": _TEXT(
        "Which perturbations",
        width="large",
        help="The perturbations that shift it, the strongest first.",
    ),
}
"""Columns of `sams_core.analysis.mask_tables.latent_table`."""

RELIABILITY = {
    "reported": _TEXT("Reported", pinned=True, help=GLOSSARY["inclusion probability"]),
    "n": _NUMBER("Entries", format="localized", help="Mask entries in this range."),
    "n_real": _NUMBER("Real", format="localized", help="Of these, open in the true mask."),
    "mean_probability": _NUMBER(
        "Mean probability",
        format="percent",
        help="Share that would be real if probabilities were calibrated.",
    ),
    "share_real": _NUMBER("Share real", format="percent", help="Share open in the true mask."),
    "low": _NUMBER(
        "95% from", format="percent", help="Lower end of the 95% interval of the share (Wilson)."
    ),
    "high": _NUMBER("95% to", format="percent", help="Upper end of the same interval."),
}
"""Columns of `sams_core.analysis.calibration.reliability_table`."""


LINES = {
    "name": _TEXT("Model or baseline", pinned=True),
    "kind": _TEXT("Kind"),
    "fraction": _NUMBER("In training", format="percent"),
    "mean": _NUMBER("Mean", format="%.3f", help="Over runs with different seeds."),
    "sd": _NUMBER("± sd", format="%.3f", help="Over the same runs; none for a single one."),
    "n": _NUMBER("n", help="Runs; for baselines and the ceiling, splits."),
    "iwelbo_relative": _NUMBER(
        "Test IWELBO", format="%.2f", help="Relative to SAMS-VAE trained on no combination."
    ),
    "pearson": _NUMBER("ATE Pearson", format="%.3f", help=FIGURES["pearson"]),
}
"""Columns of `sams_core.analysis.comparison.lines_table`, and of the paper's Norman results."""

LATENT_PAIRS = {
    "latent": _TEXT("Latent of the first", pinned=True),
    "partner": _TEXT("Partner in the second"),
    "direction": _TEXT("Direction", help="Whether partners shift cells to the same side."),
    "overlap": _NUMBER(
        "Overlap",
        format="%.2f",
        help="How alike the partners' shifts are over perturbations: absolute cosine, 1 for equal "
        "patterns.",
    ),
    "n_both": _NUMBER("Open in both", help="Perturbations that open it in both checkpoints."),
    "n_first": _NUMBER("First only"),
    "n_second": _NUMBER("Second only"),
}
"""Columns of `sams_core.analysis.replication_tables.latent_pairs`."""


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
        name: _NUMBER(
            name, format="%.3f", help=f"Predicted shift from control with {escape(name)} alone."
        )
        for name in singles
    }
    hidden: dict[str, Any] = dict.fromkeys(column for column in columns if column not in shown)
    return {"gene": EFFECTS["gene"]} | hidden | shown
