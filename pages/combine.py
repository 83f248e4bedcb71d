"""What two or more perturbations would do together."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.analysis import combination_tables, effect_tables
from sams_core.analysis.combination_genes import describe_prediction
from sams_core.analysis.markdown import escape
from sams_core.errors import SamsError
from sams_core.explorer import card, links
from sams_core.explorer.combine_controls import ask
from sams_core.explorer.combine_genes import show_all, show_genes, show_volcano
from sams_core.explorer.combine_interaction import show_interaction
from sams_core.explorer.combine_landing import show_landing
from sams_core.explorer.combine_page import CombinePage
from sams_core.explorer.combine_sets import show_gene_sets
from sams_core.explorer.combine_trust import show_trust

TABS = {
    "Genes": show_genes,
    "Interaction": show_interaction,
    "Volcano": show_volcano,
    "Gene sets": show_gene_sets,
    "Where cells land": show_landing,
    "All genes": show_all,
}


@st.fragment
def combination() -> None:
    """Choose perturbations and show what is expected of them together."""
    page = ask(run, table, run.masks(), names)
    if page is None:
        return
    try:
        with st.spinner("Loading the model and predicting the combination…"):
            found = headline(page)
    except SamsError as error:
        st.error(escape(error), icon=":material/error:")
        return
    st.markdown(found)
    show_trust(page)
    links.tell("combine_tab", TABS)
    tabs = st.tabs(list(TABS), key="combine_tab", bind="query-params", on_change="rerun")
    for tab, draw in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                draw(page)


def headline(page: CombinePage) -> str:
    """Say in bold what the combination does, and whether it is more than the sum."""
    finding = describe_prediction(page.table)
    interaction = combination_tables.describe_interaction(page.table)
    return f"**{escape(page.name)}: {escape(finding)}** {escape(interaction)}"


def unable() -> None:
    """Say that a model with combinations of their own cannot predict others."""
    trained = combination_tables.trained_combinations(table)
    st.warning(
        f"This {card.family_name(run)} cannot predict combinations that it was not trained on: to "
        "it every combination is a perturbation of its own, unrelated to the perturbations that it "
        "is made of. Choose another checkpoint to combine perturbations.",
        icon=":material/link_off:",
    )
    if trained:
        st.markdown(
            f"It was trained on {len(trained):,} combination{'s' if len(trained) > 1 else ''}, "
            f"whose effects it knows as it knows those of single perturbations: "
            f"{escape(effect_tables.listed(trained))}. The Effects page shows them."
        )
        links.to_pages("effects", "models")


run = explorer.current_run()
explorer.page_header(
    "Combine",
    "What would these perturbations do together? The model's prediction beside what each does "
    "alone, their sum, and the measurement where there is one.",
)
table = run.effects()
if run.config.get("combinations") == "own":
    unable()
    st.stop()
names = [str(name) for name in run.config["perturbations"]]
combination()
