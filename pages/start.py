"""What is loaded, how good it is, and where to go next."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sams_core import explorer
from sams_core.analysis.markdown import escape, plain
from sams_core.explorer import GLOSSARY, card, start_code
from sams_core.explorer.navigation import PAGES
from sams_core.explorer.tour import tour
from sams_core.figures.quality import quality_bars
from sams_core.figures.training import training_curves

NEXT = {
    "masks": (
        "Which mechanisms do these perturbations share?",
        "Perturbations that shift the same latent dimensions, by pathway.",
    ),
    "effects": (
        "Does the model believe what the data say?",
        "Predicted and measured effect on every gene; who moves a gene.",
    ),
    "latents": (
        "Where do cells go?",
        "Maps of cells with and without their perturbation's shift.",
    ),
    "combine": (
        "What would these do together?",
        "Predicted shift of two or more perturbations, and the measurement.",
    ),
    "search": (
        "Which combinations should we test?",
        "All pairs, ranked by a goal of yours, as a list to order.",
    ),
    "models": (
        "Which model does best?",
        "Checkpoints side by side, with simple baselines beside them.",
    ),
}
"""Pages to go on to: the question that each answers, and with what."""


def contents() -> None:
    """Say what is loaded, in numbers."""
    counts = run.effects().obs["n_perturbations"]
    doubles = int((counts > 1).sum())
    splits = metrics["splits"]
    with st.grid(5, min_column_width=130):
        st.metric(
            "Cells",
            metrics["n_cells"],
            format="localized",
            border=True,
            help="Cells of the screen, control cells included.",
        )
        st.metric(
            "Genes",
            metrics["n_genes"],
            format="localized",
            border=True,
            help="Genes whose counts the model reads and predicts.",
        )
        st.metric(
            "Perturbations",
            metrics["n_perturbations"],
            format="localized",
            border=True,
            help=GLOSSARY["perturbation"],
        )
        st.metric(
            "Combinations",
            doubles,
            format="localized",
            border=True,
            help="Conditions in which cells received more than one perturbation.",
        )
        st.metric(
            "Held-out cells",
            splits.get("test", 0),
            format="localized",
            border=True,
            help=f"{GLOSSARY['held-out cells']} Trained on {splits.get('train', 0):,} cells; "
            f"{splits.get('val', 0):,} more decided when to stop."
            + (f" {splits['unused']:,} are left out by the split." if "unused" in splits else ""),
        )


SCORES = {
    "pearson": ("On all genes", "Pearson"),
    "pearson_top20": ("On the 20 genes that each perturbation changes most", "top 20"),
}


def quality() -> None:
    """Compare model, baselines and ceiling for each score, in words and below in bars."""
    told = {}
    for place, (score, (title, term)) in zip(columns(), SCORES.items(), strict=True):
        with place:
            st.markdown(f"**{title}**", help=GLOSSARY[term])
            told[score] = card.quality_sentence(metrics, score)
            st.markdown(told[score])
            if worse := card.baseline_sentence(metrics, score):
                st.markdown(f":orange[{worse}]")
                told[score] += f" {worse}"
    for place, score in zip(columns(), SCORES, strict=True):
        with place:
            ceiling = metrics["heldout_ate"].get(score.replace("pearson", "ceiling"))
            explorer.show_figure(
                quality_bars(card.scores(metrics, score), ceiling),
                key=f"start_{score}",
                alt=plain(told[score]),
                name=f"{run.name}_{score}",
                code=start_code.quality_code(card.scores(metrics, score), score),
            )


def columns() -> list[DeltaGenerator]:
    """Make one column for each score."""
    return st.columns(len(SCORES), gap="large")


def model_quality() -> None:
    """Hold the model against the ceiling, the baselines and, if simulated, the truth."""
    st.subheader(
        "How far to trust it",
        anchor=False,
        help="Effects that the model predicts, correlated with those measured in cells that it "
        "never saw.",
    )
    if (truth := metrics.get("truth")) is not None:
        st.markdown(
            f"The screen was **simulated**, so the true mask is known: the model's mask recovers "
            f"it with F1 **{truth['f1']:.2f}**. {truth['precision']:.0%} of the entries that the "
            f"model opens are truly open (precision), and it finds {truth['recall']:.0%} of those "
            "that are (recall). The Masks page shows both side by side.",
            help=GLOSSARY["F1"],
        )
    quality()
    undefined = [
        f"“{label}” ({card.BASELINE_WORDS[name]})"
        for name, label in card.BASELINES.items()
        if (metrics["heldout_ate"]["baselines"].get(name) or {}).get("pearson") is None
    ]
    noise = card.noise_sentence(run.effects().obs["n_significant"].astype(int).tolist())
    st.caption(
        f"**Ceiling**: {GLOSSARY['ceiling']} {noise}"
        + (f" {' and '.join(undefined)} predicts the same for every gene or condition, so its "
           "correlation is undefined." if undefined else "")
    )  # fmt: skip


@st.fragment
def training() -> None:
    """Draw the training curves."""
    history = run.history()
    st.subheader("How it was trained", anchor=False, help=GLOSSARY["ELBO"])
    if history.empty:
        st.info("This checkpoint came without training curves.", icon=":material/show_chart:")
        return
    share, finding = card.share_sentence(run), card.training_sentence(history)
    st.markdown(f"{share} {finding}", help=GLOSSARY["open"])
    explorer.show_figure(
        training_curves(history),
        key="start_training",
        alt=plain(f"Training curves. {finding} {share}"),
        name=f"{run.name}_training",
        code=start_code.TRAINING_CODE,
        data=history,
    )
    if phases := card.phases_sentence(run.config):
        st.caption(phases)


def onward() -> None:
    """Link to the other pages by the question that each answers."""
    st.subheader("Where to go next", anchor=False)
    with st.grid(3, min_column_width=220):
        for page, (question, words) in NEXT.items():
            title, icon, _ = PAGES[page]
            with st.container(border=True, height="stretch"):
                st.page_link(f"pages/{page}.py", label=f"**{title}**", icon=f":material/{icon}:")
                st.markdown(question)
                st.caption(words)


def about() -> None:
    """Show the model card and how to read the explorer."""
    st.subheader("Model card", anchor=False)
    st.table(
        card.model_card(run).map(escape).set_index("What"),
        border="horizontal",
        width="content",
        alt="Model card: what the model is and how it was made",
    )
    with st.expander("How to read this explorer", icon=":material/menu_book:"):
        st.markdown(
            "The model describes every cell by a few **latent dimensions**. A cell has a "
            "**basal** state of its own; each perturbation adds a **shift** to a few dimensions "
            "and leaves the others alone. Which ones it shifts is its **mask**; perturbations "
            "with the same mask act through the same mechanism, as far as this model can tell.\n\n"
            "An **effect** (ATE) is a difference of mean log2 expression from control cells: +1 is "
            "about a doubling, -1 about a halving. Wherever the model is compared with the data, "
            "the page says on which cells, and whether the model was trained on them.\n\n"
            "Every term is explained where it stands, by the question mark beside it, and in the "
            "Glossary in the sidebar."
        )


run = explorer.current_run()
metrics = run.metrics()
explorer.page_header(
    "Start",
    "A model that was trained on a screen of perturbed cells: what it was trained on, how far to "
    "trust it, and where to go from here.",
)
if run.config.get("citation"):
    st.caption(f"Data: {escape(run.config['citation'])}")
tour()
contents()
model_quality()
onward()
training()
about()
