"""How the tables of the masks page's details are headed and written."""

from __future__ import annotations

import streamlit as st

from sams_core.explorer.columns import EFFECTS, FITS
from sams_core.explorer.glossary import GLOSSARY

_NUMBER = st.column_config.NumberColumn
_TEXT = st.column_config.TextColumn
_INCLUSION = _NUMBER("Inclusion", format="%.2f", help=GLOSSARY["inclusion probability"])
_EFFECT = _NUMBER("Effect", format="%+.2f", help=f"{GLOSSARY['effect']} In basal s.d.")
_SD = _NUMBER("± sd", format="%.2f", help="Posterior standard deviation: how sure the model is.")

ROW = {
    "latent": _TEXT("Latent", pinned=True, help=GLOSSARY["latent dimension"]),
    "inclusion": _INCLUSION,
    "open": st.column_config.CheckboxColumn("Open", help=GLOSSARY["open"]),
    "effect": _EFFECT,
    "effect_sd": _SD,
    "n_others": _NUMBER("Others", help="Other perturbations that open it."),
}
"""Columns of `sams_core.analysis.perturbation_details.mask_row`."""

OPENERS = {
    "perturbation": EFFECTS["perturbation"],
    "inclusion": _INCLUSION,
    "effect": _EFFECT,
    "effect_sd": _SD,
    "n_cells": EFFECTS["n_cells"],
    "n_cells_train": FITS["n_cells_train"],
    "n_significant": FITS["n_significant"],
}
"""Columns of `sams_core.analysis.latent_dimension.openers`; annotations follow."""

NEAREST = {
    "perturbation": EFFECTS["perturbation"],
    "cosine": _NUMBER(
        "Cosine",
        format="%.2f",
        help="How alike the two latent effects point, from -1 (opposite) over 0 (nothing in "
        "common) to 1 (the same mechanism); mean over the posterior.",
    ),
    "cosine_lower": _NUMBER("5%", format="%.2f", help="5% of posterior draws lie below."),
    "cosine_upper": _NUMBER("95%", format="%.2f", help="5% of posterior draws lie above."),
    "shared": _TEXT("Shared", width=90, help="Latent dimensions that both open."),
    "model_correlation": _NUMBER(
        "Model r", format="%.2f", help="Correlation over genes of the predicted effects."
    ),
    "data_correlation": _NUMBER(
        "Data r", format="%.2f", help="Correlation over genes of the measured effects."
    ),
    "n_cells_train": FITS["n_cells_train"],
    "n_significant": FITS["n_significant"],
}
"""Columns of `sams_core.analysis.perturbation_details.nearest_perturbations`."""

MOVED = EFFECTS | {
    "model_rank": _NUMBER("Model rank", help="1 is the gene that the model moves most."),
    "data_rank": _NUMBER("Data rank", help="1 is the gene that moves most in the data."),
}
"""Columns of `sams_core.analysis.perturbation_details.moved_genes`."""

RESPONSE = {
    "gene": EFFECTS["gene"],
    "change": _NUMBER(
        "Change", format="%+.2f", help="Mean change of log2 expression over cells, for the step."
    ),
    "sd": _NUMBER("sd", format="%.2f", help="Standard deviation over cells."),
    "lower": _NUMBER("5%", format="%+.2f", help="5% of cells change less."),
    "upper": _NUMBER("95%", format="%+.2f", help="5% of cells change more."),
    "same_sign": _NUMBER(
        "Same way", format="percent", help="Share of cells that change the way their mean does."
    ),
    "unmoved": _NUMBER(
        "Before", format="%.2f", help="Mean log2(counts per 10,000 + 1) before the step."
    ),
}
"""Columns of `sams_core.analysis.latent_dimension.latent_response`."""

ENRICHED = {
    "set": _TEXT("Gene set", width=185, pinned=True),
    "overlap": _NUMBER("Shared", help="Names of the list that are in the set."),
    "set_size": _NUMBER("Set size", help="Members of the set in the background."),
    "expected": _NUMBER("Expected", format="%.1f", help="Shared names that chance would give."),
    "fdr": _NUMBER("FDR", format="%.2g", help=GLOSSARY["FDR"]),
    "members": _TEXT("Which", width=170),
    "odds_ratio": _NUMBER("Odds ratio", format="%.1f", help="Above 1: more than by chance."),
    "p_value": _NUMBER("p", format="%.2g", help="One-sided Fisher test, not corrected."),
    "collection": _TEXT("Collection"),
}
"""Columns of `sams_core.analysis.enrichment.Enrichment.table`."""
