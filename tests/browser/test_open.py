"""A model or a screen of one's own, and a newcomer's first walk, in a real browser."""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser
from scipy import sparse

from sams_core.bundle import check_checkpoint, read_bundle, write_bundle
from sams_core.explorer.caching import PRIVATE
from sams_core.explorer.catalogue import DEMO_FOLDER, NO_DEMO_VARIABLE, RUNS_VARIABLE
from tests.browser.chromium import View, view
from tests.support.server import serve

RUN = DEMO_FOLDER / "papalexi2021_thp1"


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1400) as opened:
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "from_a_colleague.zip"
    with path.open("wb") as file:
        write_bundle(RUN, file)
    return path


def upload(shown: View, kind: str, path: Path) -> None:
    shown.page.locator(f'input[type=file][accept*="{kind}"]').set_input_files(path)


def open_bundle(shown: View, path: Path) -> None:
    shown.open("/open")
    upload(shown, "zip", path)
    shown.page.get_by_text("is open, in this window only").wait_for()
    shown.settle()


def test_a_bundle_is_opened_shown_and_closed(window: View, bundle: Path) -> None:
    open_bundle(window, bundle)
    assert window.state("run") == "from_a_colleague (uploaded)"
    window.page.locator('[data-testid="stMain"]').get_by_role("link", name="Masks").click()
    window.page.get_by_role("heading", name="Masks", exact=True).wait_for()
    window.settle()
    assert window.state("run") == "from_a_colleague (uploaded)"
    assert window.errors() == []
    assert window.page.locator(".st-key-mask_map").get_by_text("STAT1").count()
    window.page.locator('[data-testid="stSidebar"]').get_by_role("link", name="Open").click()
    window.page.get_by_role("button", name="Close it").click()
    window.page.get_by_text("is closed and removed").wait_for()
    window.settle()
    assert window.state("run") == RUN.name
    window.page.reload()
    window.settle()
    assert window.page.get_by_text("is open, in this window only").count() == 0


def test_an_upload_is_this_windows_alone_and_goes_with_it(
    browser: Browser, app_url: str, window: View, bundle: Path
) -> None:
    open_bundle(window, bundle)
    link = window.page.url
    with view(browser, app_url) as other:
        other.page.goto(link)
        other.settle()
        assert other.page.get_by_text("The link names a checkpoint that is not here").count()
        assert other.page.get_by_text("upload it again on the page Open").count()
        assert other.state("run") == RUN.name
    window.page.reload()
    window.settle()
    assert window.page.get_by_text("upload it again on the page Open").count()


def damaged(bundle: Path, target: Path) -> Path:
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    return target


def escaping(bundle: Path, target: Path) -> Path:
    shutil.copy(bundle, target)
    with zipfile.ZipFile(target, "a") as file:
        file.writestr("../../outside.txt", "x")
    return target


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (damaged, "is damaged"),
        (escaping, "whose name leads out of its folder"),
        (lambda bundle, target: target, "is not a zip file or was cut short"),
    ],
)
def test_a_malformed_bundle_is_told_in_one_sentence(
    window: View, bundle: Path, tmp_path: Path, make: Any, words: str
) -> None:
    target = tmp_path / "odd_*name*.zip"
    target.write_bytes(b"no zip")
    window.open("/open")
    upload(window, "zip", make(bundle, target))
    window.page.get_by_text(words).wait_for()
    window.settle()
    (said,) = window.errors()
    assert "odd_*name*.zip" in said
    assert said.count(". ") <= 1
    assert window.state("run") == RUN.name


def test_a_model_is_taken_along(window: View, tmp_path: Path) -> None:
    window.open(f"/open?run={RUN.name}")
    with window.page.expect_download() as download:
        window.page.get_by_role("button", name="Download bundle").click()
    assert download.value.suggested_filename == f"{RUN.name}.zip"
    content = io.BytesIO(Path(str(download.value.path())).read_bytes())
    read_bundle(content, "x.zip", tmp_path / "back")
    check_checkpoint(tmp_path / "back")


def write_screen(path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.repeat(["control", "STAT1", "*x*", "STAT1+MYC"], [80, 60, 20, 40])
    screen = ad.AnnData(
        sparse.csr_matrix(rng.poisson(1.0, (200, 30)).astype(np.float32)),
        obs=pd.DataFrame({"guide": labels}, index=[f"c{n}" for n in range(200)]),
        var=pd.DataFrame(index=[f"G{n}" for n in range(30)]),
    )
    screen.write_h5ad(path)
    return path


def test_a_screen_is_looked_at_before_training(window: View, tmp_path: Path) -> None:
    window.open("/open")
    upload(window, "h5ad", write_screen(tmp_path / "my screen.h5ad"))
    window.page.get_by_text("Name the column of obs").wait_for()
    box = window.page.get_by_role("combobox", name="Perturbations are in")
    box.fill("guide")
    box.press("Enter")
    window.page.get_by_text("on a machine that has the file").wait_for()
    window.settle()
    main = window.page.locator('[data-testid="stMain"]')
    values = dict(
        text.split("\n")[:: len(text.split("\n")) - 1]
        for text in main.locator('[data-testid="stMetric"]').all_inner_texts()
    )
    assert values == {
        "Cells": "200", "Genes": "30", "Perturbations": "3", "Combinations": "1",
        "Control cells": "80",
    }  # fmt: skip
    assert main.get_by_text("*x* (20)").count()
    assert (
        main.get_by_text(
            "python -m sams_core train my_screen.h5ad --perturbation-key guide --out runs/mine"
        ).count()
        or "train 'my screen.h5ad' --perturbation-key guide" in main.inner_text()
    )
    assert window.errors() == []


def test_a_file_that_is_no_screen_is_told(window: View, tmp_path: Path) -> None:
    path = tmp_path / "text.h5ad"
    path.write_text("hello")
    window.open("/open")
    upload(window, "h5ad", path)
    window.page.get_by_text("is not an HDF5 file").wait_for()
    window.settle()
    assert len(window.errors()) == 1


def test_a_model_is_saved_to_a_folder_of_the_server(
    browser: Browser, bundle: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    env = {RUNS_VARIABLE: str(runs), NO_DEMO_VARIABLE: "1", "TMPDIR": str(tmp_path)}
    with serve(env=env) as url, view(browser, url, height=1400) as shown:
        shown.open("/open")
        assert shown.page.get_by_text("These folders hold no trained model").count()
        open_bundle(shown, bundle)
        (private,) = tmp_path.glob(f"{PRIVATE}*")
        shown.page.get_by_role("button", name="Save to runs").click()
        box = shown.page.get_by_role("textbox", name="Name")
        box.fill("kept")
        box.press("Enter")
        shown.settle()
        shown.page.locator('[data-testid="stPopoverBody"] button[kind="primary"]').first.click()
        shown.page.get_by_text("Saved as kept").wait_for()
        shown.settle()
        assert shown.state("run") == "kept"
        check_checkpoint(runs / "kept")
    assert not private.exists()


TOUR = {2: "Masks", 3: "Effects", 4: "Latents", 5: "Combine", 6: "Open"}


@pytest.mark.parametrize("number", TOUR)
def test_every_step_of_the_tour_opens_its_page_in_the_right_state(
    window: View, number: int
) -> None:
    page = TOUR[number]
    window.open("/?run=simulated_pathways")
    window.page.get_by_role("link", name=f"{number}. {page}").click()
    window.page.get_by_role("heading", name=page, exact=True, level=1).wait_for()
    window.settle()
    assert window.errors() == []
    assert window.page.locator('[data-testid="stAlertContentWarning"]').count() == 0
    assert window.state("run") == RUN.name
    assert window.blank_charts() == []
    query = parse_qs(urlsplit(window.page.url).query)
    main = window.page.locator('[data-testid="stMain"]')
    if page == "Masks":
        assert main.get_by_text(f"Latent dimension {query['mask_latent'][0]}").count()
        assert "JAK2" in main.inner_text()
    if page == "Effects":
        assert window.state("condition") in {"IFNGR1", "IFNGR2", "JAK2", "STAT1"}
    if page == "Combine":
        assert window.state("combine") == "IFNGR2\nSMAD4"
        assert re.search("not (been )?measured|never measured", main.inner_text(), re.IGNORECASE)


def test_the_tour_can_be_put_away_and_taken_again(window: View) -> None:
    window.open("/")
    step = window.page.get_by_role("link", name="2. Masks")
    step.wait_for()
    window.page.get_by_text("First time here?").click()
    step.wait_for(state="hidden")
    window.settle()
    sidebar = window.page.locator('[data-testid="stSidebar"]')
    sidebar.get_by_role("link", name="Open").click()
    window.page.get_by_role("heading", name="Open", exact=True).wait_for()
    window.settle()
    sidebar.get_by_role("link", name="Start").click()
    window.page.get_by_text("First time here?").wait_for()
    window.settle()
    assert not step.is_visible()
    window.page.get_by_text("First time here?").click()
    step.wait_for()


def test_the_glossary_is_one_click_and_one_word_away(window: View) -> None:
    window.open("/masks")
    badge = window.page.locator(".st-key-page_words").get_by_text("latent dimension")
    badge.locator("visible=true").first.hover()
    window.page.get_by_text("One axis of the model's compact description").wait_for()
    window.page.mouse.move(0, 0)
    window.page.get_by_role("button", name="Glossary").click()
    body = window.page.locator('[data-testid="stPopoverBody"]')
    body.locator("input").fill("iwelbo")
    body.get_by_text("additive expectation").wait_for(state="hidden")
    assert "importance-weighted ELBO" in body.inner_text()
