"""The model's effect on every gene beside the effect measured in the data."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.explorer.effect_condition import one_perturbation
from sams_core.explorer.effect_fits import all_perturbations
from sams_core.explorer.effect_gene import one_gene
from sams_core.explorer.effect_list import gene_list
from sams_core.explorer.effect_page import VIEW_KEY, VIEWS, EffectPage
from sams_core.explorer.gene_sets import gene_sets

run = explorer.current_run()
explorer.page_header(
    "Effects",
    "Does the model believe what the data say? Each gene's effect as the model predicts it and as "
    "it was measured, in log2 of counts per 10,000: +1 is about a doubling against control cells.",
)
page = EffectPage(run, run.effects(), gene_sets())
tabs = st.tabs(list(VIEWS), key=VIEW_KEY, bind="query-params", on_change="rerun")
blocks = (one_perturbation, one_gene, gene_list, all_perturbations)
for tab, draw in zip(tabs, blocks, strict=True):
    if tab.open:
        with tab:
            draw(page)
