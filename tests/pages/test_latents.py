"""The latents page in each of its states."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sams_core.figures.latents import PANELS
from tests.pages.conftest import OpenPage
from tests.support.example_run import GENES, N_CELLS, SINGLES, write_manifest
from tests.support.snippets import check_snippets, shown_figures

pytestmark = pytest.mark.usefixtures("example_runs")


def test_opens_on_cells_with_the_strongest_perturbations_highlighted(open_page: OpenPage) -> None:
    app = open_page("latents")
    assert not app.exception
    assert app.multiselect(key="highlight_perturbation").value == list(SINGLES[:4])
    assert len(app.get("plotly_chart")) == 1
    assert f"{N_CELLS} of {N_CELLS} cells shown" in app.main.caption[-1].value


@pytest.mark.parametrize(
    "colour",
    ["perturbation", "pathway", "split", "n perturbations", "library size", "latent dimension"],
)
def test_every_colouring_draws(open_page: OpenPage, colour: str) -> None:
    app = open_page("latents", {"run": "simulated", "colour": colour})
    assert not app.exception
    assert not app.warning
    assert app.selectbox(key="colour").value == colour
    assert len(app.get("plotly_chart")) == 1


def test_splits_filter_cells_and_none_is_no_error(open_page: OpenPage) -> None:
    app = open_page("latents", {"splits": ["test"]})
    assert app.pills(key="splits").value == ["test"]
    shown = app.main.caption[-1].value
    assert f"{N_CELLS} of {N_CELLS}" not in shown
    app.pills(key="splits").set_value([]).run()
    assert not app.exception
    assert f"0 of {N_CELLS} cells shown" in app.main.caption[-1].value


def test_nothing_highlighted_colours_all(open_page: OpenPage) -> None:
    app = open_page("latents")
    app.multiselect(key="highlight_perturbation").set_value([]).run()
    assert not app.exception
    assert "all by perturbation" in app.main.caption[-1].value


def test_bad_addresses_fall_back_with_a_notice(open_page: OpenPage) -> None:
    app = open_page("latents", {"colour": "NOPE", "highlight_perturbation": "NOPE", "splits": "x"})
    assert not app.exception
    assert app.selectbox(key="colour").value == "perturbation"
    assert len(app.warning) == 3


@pytest.mark.parametrize("colour", ["pathway", "open latents", "cells measured"])
def test_the_map_of_perturbations(open_page: OpenPage, colour: str) -> None:
    app = open_page("latents", {"latents_view": "Perturbations", "map_colour": colour})
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    assert set(app.dataframe[0].value.index) == set(SINGLES)


@pytest.fixture(scope="session")
def counted_folder(example_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one checkpoint whose table of cells holds counts."""
    folder = tmp_path_factory.mktemp("counted")
    shutil.copytree(example_folder / "real", folder / "counted")
    path = folder / "counted" / "explorer" / "cells.h5ad"
    cells = ad.read_h5ad(path)
    counts = np.random.default_rng(0).poisson(1.0, (N_CELLS, len(GENES))).astype(np.uint8)
    cells.obs["library_size"] = np.maximum(counts.sum(1), 1.0)
    with_counts = ad.AnnData(
        sparse.csr_matrix(counts),
        obs=cells.obs,
        var=pd.DataFrame(index=list(GENES)),
        obsm=dict(cells.obsm),
        uns=dict(cells.uns),
    )
    with_counts.write_h5ad(path)
    write_manifest(folder / "counted")
    return folder


def around(folder: Path, *conditions: str, space: str = "full") -> tuple[str, list[str]]:
    """A box around some cells of these conditions on a map, as in an address; who is inside."""
    cells = ad.read_h5ad(folder / "explorer" / "cells.h5ad")
    points = cells.obsm["X_umap" if space == "full" else "X_umap_basal"]
    rows = cells.obs["condition"].isin(conditions).to_numpy()
    low, high = (np.round(np.quantile(points[rows], q, axis=0), 2) for q in (0.2, 0.8))
    inside = ((points > low) & (points < high)).all(1)
    corners = [low, (high[0], low[1]), high, (low[0], high[1])]
    text = "~".join([space, *(f"{x:.2f},{y:.2f}" for x, y in corners)])
    return text, [str(name) for name in cells.obs_names[inside]]


class TestGenes:
    def test_measured_and_expected(
        self, counted_folder: Path, runs_at: Callable[[Path], None], open_page: OpenPage
    ) -> None:
        runs_at(counted_folder)
        app = open_page("latents", {"colour": "gene expression", "gene": "GENE07"})
        assert not app.exception
        assert not app.info or "counts" not in app.info[0].value
        assert app.selectbox(key="gene").value == "GENE07"
        cells = ad.read_h5ad(counted_folder / "counted" / "explorer" / "cells.h5ad")
        detected = (cells.X[:, 7].toarray() > 0).mean()
        assert f"Detected in {detected:.0%} of the cells" in app.main.caption[-1].value
        check_snippets(app, counted_folder / "counted", {"cell_maps"})
        app.segmented_control(key="expression").set_value("Expected").run()
        assert "Expected expression of GENE07" in app.main.caption[-1].value
        check_snippets(app, counted_folder / "counted", {"cell_maps"})

    def test_without_counts_the_model_is_asked_and_it_is_said(
        self, open_page: OpenPage, example_folder: Path
    ) -> None:
        query = {"run": "real", "colour": "gene expression", "expression": "Measured"}
        app = open_page("latents", query)
        assert not app.exception
        assert "prepared without them" in app.info[0].value
        assert "python -m sams_core prepare" in app.info[0].value
        assert "expression" not in [each.key for each in app.segmented_control]
        assert len(app.warning) == 1

    def test_an_unknown_gene_is_told(self, open_page: OpenPage) -> None:
        app = open_page("latents", {"colour": "gene expression", "gene": "NOPE"})
        assert not app.exception
        assert "NOPE" in app.warning[0].value


class TestChosenCells:
    def test_an_outline_in_the_address_chooses_cells(
        self, open_page: OpenPage, example_folder: Path
    ) -> None:
        text, inside = around(example_folder / "real", "IFNGR1", "JAK2")
        assert len(inside) > 3
        app = open_page("latents", {"run": "real", "lasso": text})
        assert not app.exception
        assert not app.warning
        assert f"{len(inside)} chosen cells" in [each.value for each in app.subheader]
        assert app.session_state["lasso_cells"].names == tuple(inside)
        table = app.dataframe[0].value
        assert table["chosen"].sum() == len(inside)
        assert table["all"].sum() == N_CELLS
        check_snippets(app, example_folder / "real", {"cell_maps", "composition_figure"})

    def test_every_count_and_the_parts_of_the_screen(
        self, open_page: OpenPage, example_folder: Path
    ) -> None:
        text, inside = around(example_folder / "real", "control", space="basal")
        app = open_page("latents", {"run": "real", "lasso": text, "composition": "split"})
        cells = ad.read_h5ad(example_folder / "real" / "explorer" / "cells.h5ad")
        counts = cells[inside].obs["split"].value_counts()
        table = app.dataframe[0].value
        assert table["chosen"].to_dict() == counts.to_dict()
        assert "chosen on the basal map" in "".join(each.value for each in app.markdown)
        app.pills(key="splits").set_value(["test"]).run()
        assert not app.exception
        assert len(app.session_state["lasso_cells"].names) == counts["test"]

    @pytest.mark.parametrize("folder", ["real", "counted"])
    def test_top_genes(
        self,
        folder: str,
        example_folder: Path,
        counted_folder: Path,
        runs_at: Callable[[Path], None],
        open_page: OpenPage,
    ) -> None:
        path = (example_folder if folder == "real" else counted_folder) / folder
        runs_at(path.parent)
        text, inside = around(path, "IFNGR1", "JAK2")
        app = open_page("latents", {"run": folder, "lasso": text, "chosen_tab": "Top genes"})
        assert not app.exception
        table = app.dataframe[0].value
        assert set(table.index) == set(GENES)
        assert ("detected_chosen" in table) == (folder == "counted")
        assert bool(app.info) == (folder == "real")
        if folder == "counted":
            counts = ad.read_h5ad(path / "explorer" / "cells.h5ad")[inside, "GENE03"].X.toarray()
            assert table.loc["GENE03", "detected_chosen"] == pytest.approx((counts > 0).mean())
        check_snippets(app, path, {"chosen_genes_figure"})

    def test_the_cells_are_listed(self, open_page: OpenPage, example_folder: Path) -> None:
        text, inside = around(example_folder / "real", "IFNGR1", "JAK2")
        app = open_page("latents", {"run": "real", "lasso": text, "chosen_tab": "The cells"})
        assert list(app.dataframe[0].value.index) == inside

    def test_none_can_be_chosen_again(self, open_page: OpenPage, example_folder: Path) -> None:
        text, _ = around(example_folder / "real", "IFNGR1", "JAK2")
        app = open_page("latents", {"run": "real", "lasso": text})
        app.button(key="clear_lasso").click().run()
        assert not app.exception
        assert "lasso_cells" not in app.session_state
        assert not app.subheader
        assert "Draw a lasso" in app.info[0].value

    def test_cells_chosen_before_are_told(self, open_page: OpenPage, example_folder: Path) -> None:
        text, inside = around(example_folder / "real", "IFNGR1", "JAK2")
        app = open_page("latents", {"run": "real", "lasso": text})
        del app.query_params["lasso"]
        app.run()
        assert f"{len(inside)} cells are still chosen" in app.main.markdown[-2].value
        app.button(key="forget_cells").click().run()
        assert "Draw a lasso" in app.info[0].value

    def test_an_empty_and_an_unreadable_outline(self, open_page: OpenPage) -> None:
        app = open_page("latents", {"lasso": "full~900,900~901,900~901,901"})
        assert not app.exception
        assert "No cell lies inside" in app.info[0].value
        app = open_page("latents", {"lasso": "<script>"})
        assert not app.exception
        assert "outline of cells cannot be read" in app.warning[0].value


@pytest.mark.parametrize("space", ["Both", "Basal", "Full"])
def test_spaces(open_page: OpenPage, example_folder: Path, space: str) -> None:
    for colour in ("latent dimension", "library size", "pathway"):
        app = open_page("latents", {"run": "simulated", "space": space, "colour": colour})
        assert not app.exception
        check_snippets(app, example_folder / "simulated", {"cell_maps"})
        figure = shown_figures(app)["cell_maps"]
        panels = {trace["xaxis"] for trace in figure["data"]}
        assert len(panels) == (2 if space == "Both" else 1)
        titles = [each["text"] for each in figure["layout"]["annotations"]]
        assert titles == [
            title for name, title in PANELS.items() if space in ("Both", name.capitalize())
        ]


def test_gene_sets_colour_cells_and_perturbations(
    open_page: OpenPage, example_folder: Path
) -> None:
    sets = "Reactome signalling gene sets"
    app = open_page("latents", {"run": "real", "colour": sets})
    assert app.selectbox(key="colour").value == sets
    check_snippets(app, example_folder / "real", {"cell_maps"})
    app = open_page("latents", {"latents_view": "Perturbations", "map_colour": sets})
    assert app.selectbox(key="map_colour").value == sets
    check_snippets(app, example_folder / "real", {"perturbation_map"})


def test_perturbations_are_joined(open_page: OpenPage, example_folder: Path) -> None:
    app = open_page("latents", {"run": "real", "latents_view": "Perturbations"})
    check_snippets(app, example_folder / "real", {"perturbation_map"})
    app.slider(key="neighbours").set_value(0).run()
    assert not app.exception
    data = shown_figures(app)["perturbation_map"]["data"]
    assert not [trace for trace in data if trace["mode"] == "lines"]


def test_the_basal_check(open_page: OpenPage, example_folder: Path) -> None:
    app = open_page("latents", {"run": "real", "latents_view": "Basal check"})
    assert not app.exception
    (told,) = [each.value for each in (*app.success, *app.warning)]
    assert "From a cell's basal state, a classifier names the right one of" in told
    check_snippets(app, example_folder / "real", {"separation"})
