"""The Python of every figure of the masks page makes that figure again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sams_core.explorer.catalogue import DEMO_FOLDER
from tests.pages.conftest import OpenPage
from tests.support.example_run import write_example_run
from tests.support.snippets import check_snippets

TRUTH = {"run": "simulated"}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"mask_view": "Signed effect", "mask_unused": "true", "mask_silent": "false"},
        {"mask_group": "No grouping", "mask_order": "Strength", "mask_open": "true"},
        {"mask_rows": "Group averages", "mask_scale": "Cividis, purple and green"},
        {"mask_latent": "z0", "mask_perturbation": "JAK2", "mask_threshold": "0.3"},
        TRUTH,
        {"mask_compare": "again", "mask_open": "true"},
        {"mask_compare": "again", "mask_rows": "Group averages", "mask_view": "Embedding"},
    ],
)
def test_the_map_s_python_makes_it_again(
    query: dict[str, str], masks_folder: Path, open_page: OpenPage
) -> None:
    app = open_page("masks", {"run": "real", **query})
    assert not app.exception
    check_snippets(app, masks_folder / query.get("run", "real"), {"mask_map"})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mask_code")
    write_example_run(folder / "real", title="A real screen")
    write_example_run(folder / "again", title="A real screen", seed=1, screen_seed=0)
    write_example_run(folder / "simulated", title="A made-up screen", simulated=True, seed=1)
    write_example_run(folder / "cpa", title="A real screen", family="cpa_vae")
    return folder


@pytest.fixture
def masks_folder(written: Path, runs_at: Callable[[Path], None]) -> Path:
    runs_at(written)
    return written


def test_a_model_without_a_mask(masks_folder: Path, open_page: OpenPage) -> None:
    check_snippets(open_page("masks", {"run": "cpa"}), masks_folder / "cpa", {"mask_map"})


@pytest.mark.parametrize(
    ("chosen", "key"),
    [
        ({"mask_latent": "z0"}, "mask_response_figure"),
        ({"mask_latent": "z0", "mask_latent_tab": "Cells"}, "mask_latent_cells"),
        ({"mask_perturbation": "JAK2"}, "mask_row_figure"),
        ({"mask_perturbation": "JAK2", "mask_perturbation_tab": "Genes"}, "mask_genes_figure"),
    ],
)
def test_the_details_python_makes_them_again(
    chosen: dict[str, str], key: str, masks_folder: Path, open_page: OpenPage
) -> None:
    app = open_page("masks", {"run": "real", **chosen})
    assert not app.exception
    check_snippets(app, masks_folder / "real", {key})


def test_stability_of_an_embedded_checkpoint(open_page: OpenPage) -> None:
    folder = DEMO_FOLDER / "papalexi2021_thp1"
    app = open_page("masks", {"run": folder.name, "mask_view": "Stability"})
    assert not app.exception
    check_snippets(app, folder, {"mask_map"})
