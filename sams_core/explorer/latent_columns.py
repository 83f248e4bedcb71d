"""How the tables of the latents page are headed and written."""

from __future__ import annotations

import streamlit as st

from sams_core.explorer.columns import EFFECTS, PERTURBATIONS
from sams_core.explorer.glossary import GLOSSARY

_NUMBER = st.column_config.NumberColumn
_TEXT = st.column_config.TextColumn

COMPOSITION = {
    "chosen": _NUMBER("Chosen", format="localized", help="Chosen cells of this category."),
    "all": _NUMBER("All", format="localized", help="All cells shown of this category."),
    "share_chosen": _NUMBER("Of chosen", format="percent", help="Share of the chosen cells."),
    "share_all": _NUMBER("Of all", format="percent", help="Share of all cells shown."),
    "share_of_category": _NUMBER(
        "Chosen of it", format="percent", help="Share of the category's cells that is chosen."
    ),
    "enrichment": _NUMBER("Times", format="%.2f", help=GLOSSARY["enrichment of cells"]),
    "p_value": _NUMBER("p", format="%.1e", help="Fisher's exact test, two-sided."),
    "fdr": _NUMBER("FDR", format="%.1e", help=GLOSSARY["FDR"]),
}
"""Columns of `sams_core.analysis.latent_chosen.composition`."""

GENES = {
    "gene": EFFECTS["gene"],
    "difference": _NUMBER("Difference", format="%+.3f", help="Chosen minus other cells, log2."),
    "chosen": _NUMBER("Chosen", format="%.2f", help="Mean log2(counts per 10,000 + 1)."),
    "others": _NUMBER("Others", format="%.2f", help="The same over all other cells shown."),
    "detected_chosen": _NUMBER(
        "Detected", format="percent", help="Share of the chosen cells with a count of the gene."
    ),
    "detected_others": _NUMBER("In others", format="percent", help="The same of other cells."),
}
"""Columns of `sams_core.analysis.latent_chosen.top_genes`."""

EDGES = {
    "first": _TEXT("Perturbation", pinned=True),
    "second": _TEXT("Neighbour"),
    "cosine": _NUMBER("Cosine", format="%.2f", help=GLOSSARY["cosine"]),
    "share_positive": _NUMBER(
        "Same way", format="percent", help="Posterior draws in which both shift the same way."
    ),
    "mutual": st.column_config.CheckboxColumn(
        "Mutual", help="Whether each is among the other's nearest."
    ),
}
"""Columns of `sams_core.analysis.latent_neighbours.nearest_edges`."""

RECALL = {
    "condition": _TEXT("Condition", pinned=True),
    "n_cells": _NUMBER("Cells", format="localized", help="Cells that took part."),
    "basal": _NUMBER("Basal", format="percent", help="Share of them named from the basal state."),
    "full": _NUMBER("Full", format="percent", help="Share of them named from the full state."),
    "null_high": _NUMBER(
        "Shuffled, 95%", format="percent", help="Below this in 95% of shuffles of the conditions."
    ),
}
"""Columns of `sams_core.analysis.latent_separation.Separation.recall`."""

__all__ = ["COMPOSITION", "EDGES", "GENES", "PERTURBATIONS", "RECALL"]
