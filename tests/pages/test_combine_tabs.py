"""The tabs of the combine page: what each shows, and that its code makes its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pytest

from tests.pages.conftest import OpenPage
from tests.pages.test_combine import figures, words
from tests.support.example_run import GENES, write_example_run, write_manifest
from tests.support.snippets import check_snippets

pytestmark = pytest.mark.usefixtures("example_runs")
TABS = ("Genes", "Interaction", "Volcano", "Gene sets", "Where cells land", "All genes")


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("chosen", [("IFNGR1", "SMAD4"), ("JAK2", "MYC", "STAT1")])
def test_every_tab_draws_and_its_code_makes_the_figures(
    open_page: OpenPage, example_folder: Path, tab: str, chosen: tuple[str, ...]
) -> None:
    app = open_page("combine", {"run": "real", "combine": list(chosen), "combine_tab": tab})
    assert not app.exception
    assert not app.error
    shown = figures(app)
    assert bool(shown) == (tab not in ("Gene sets", "All genes"))
    if shown:
        check_snippets(app, example_folder / "real", shown)


def test_code_of_a_group_of_cells_at_other_doses(open_page: OpenPage, example_folder: Path) -> None:
    query = {
        "run": "simulated",
        "combine": ["IFNGR1", "SMAD4"],
        "combine_background": "Control cells, replicate: rep_2",
        "combine_doses": "true",
        "combine_dose_IFNGR1": "0.5",
        "combine_library": "500",
    }
    for tab in ("Genes", "Where cells land"):
        app = open_page("combine", query | {"combine_tab": tab})
        assert not app.exception
        check_snippets(app, example_folder / "simulated", figures(app))


def test_scores_of_a_pair_have_intervals_and_sentences(open_page: OpenPage) -> None:
    query = {"combine": ["JAK2", "MYC", "STAT1"], "combine_tab": "Interaction"}
    app = open_page("combine", query)
    pair = app.selectbox(key="combine_pair")
    assert len(pair.options) == 3
    pair.set_value("JAK2+MYC").run()
    assert not app.exception
    table = app.dataframe[0].value
    assert table.index[:4].tolist() == [
        "Magnitude", "Model fit", "Similarity", "Equality of contribution",
    ]  # fmt: skip
    assert "Weight of JAK2" in table.index
    assert table["measured"].notna().all()
    assert "non-linearity of the decoder" in words(app)
    assert "along the sum of the singles" in words(app)


def test_other_families_and_names_of_any_kind(
    open_page: OpenPage, runs_at: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = write_example_run(tmp_path / "told", title="x", family="conditional_vae")
    effects = ad.read_h5ad(folder / "explorer" / "effects.h5ad")
    effects.var["symbol"] = [f"$a_{i}$[x](y)" for i in range(len(GENES))]
    effects.write_h5ad(folder / "explorer" / "effects.h5ad")
    write_manifest(folder)
    runs_at(tmp_path)
    app = open_page("combine", {"combine_tab": "Where cells land"})
    assert not app.exception
    assert "do not move cells" in app.info[0].value
    assert "[x](y)" not in words(app)
    app = open_page("combine", {"combine_tab": "Interaction"})
    assert not app.exception
    assert "no shifts that could add up" in words(app)
