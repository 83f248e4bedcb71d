"""Every page of the real app, in a real browser, at two widths and in both themes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote_plus

import anndata as ad
import pytest
from playwright.sync_api import Browser

from sams_core.data.splits import SplitConfig
from sams_core.explorer import catalogue
from tests.browser.chromium import Theme, View, view
from tests.support.example_run import write_evaluation, write_example_run
from tests.support.seeds import write_seeds
from tests.support.server import ROOT, serve

PAGES = {path.stem: path.stem for path in sorted((ROOT / "pages").glob("*.py"))} | {"start": ""}
TITLES = {entry.name: entry.title for entry in catalogue.find() if entry.problem is None}
CHECKPOINTS = list(TITLES)
WITHOUT_FIGURES = ("open", "stories")


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url) as opened:
        yield opened


def faults(shown: View) -> dict[str, object]:
    found: dict[str, object] = {
        "errors": shown.errors(),
        "blank charts": shown.blank_charts(),
        "overflow": shown.overflow(),
        "console": shown.complaints,
    }
    return {name: value for name, value in found.items() if value}


def table(name: str) -> ad.AnnData:
    return ad.read_h5ad(catalogue.find()[0].folder / "explorer" / f"{name}.h5ad")


def choose_checkpoint(shown: View, name: str) -> None:
    shown.page.get_by_test_id("stSidebar").get_by_role("combobox", name="Checkpoint").click()
    shown.page.get_by_role("option", name=name, exact=True).click()
    wait_for_title(shown, name)


def wait_for_title(shown: View, name: str) -> None:
    shown.page.get_by_test_id("stMain").get_by_text(TITLES[name]).first.wait_for()
    shown.settle()


def test_there_are_embedded_checkpoints() -> None:
    assert len(CHECKPOINTS) >= 2


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole(
    browser: Browser, app_url: str, page: str, width: int, theme: Theme
) -> None:
    with view(browser, app_url, width=width, height=1000, theme=theme) as shown:
        shown.open(f"/{PAGES[page]}")
        assert shown.heading().casefold() == page
        assert shown.charts() or page in WITHOUT_FIGURES
        assert faults(shown) == {}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("page", [page for page in PAGES if page != "models"])
def test_a_page_shows_every_checkpoint(window: View, page: str, checkpoint: str) -> None:
    window.open(f"/{PAGES[page]}?run={checkpoint}")
    assert window.heading().casefold() == page
    assert faults(window) == {}


def test_the_navigation_leads_to_every_page(window: View) -> None:
    window.open()
    for page in PAGES:
        window.page.get_by_test_id("stSidebarNav").get_by_role("link", name=page).click()
        window.page.wait_for_url(f"**/{PAGES[page]}*")
        window.page.get_by_role("heading", level=1, name=page).wait_for()
        window.settle()
    assert faults(window) == {}


def test_the_sidebar_switches_the_checkpoint_and_a_reload_keeps_it(window: View) -> None:
    window.open("/masks")
    for name in [*CHECKPOINTS[1:], CHECKPOINTS[0]]:
        choose_checkpoint(window, name)
        window.page.reload()
        wait_for_title(window, name)
    assert faults(window) == {}


@pytest.mark.parametrize("page", ["effects", "latents"])
def test_every_tab_is_whole(window: View, page: str) -> None:
    window.open(f"/{page}")
    for tab in window.page.get_by_role("tab").all():
        tab.click()
        window.page.locator('[data-testid="stPlotlyChart"]:visible').first.wait_for()
        window.settle()
        assert faults(window) == {}


@pytest.fixture(scope="module")
def evaluated_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on four evaluated runs on one screen, at two fractions."""
    folder = tmp_path_factory.mktemp("runs")
    for number, fraction in enumerate((0.0, 0.0, 1.0, 1.0)):
        run = write_example_run(
            folder / f"run{number}", title="Pairs", simulated=True, seed=number, screen_seed=0,
            split=SplitConfig(kind="ood_combinations", fraction=fraction),
        )  # fmt: skip
        write_evaluation(run, 0.7 + 0.05 * number, f1=0.5)
    env = {catalogue.RUNS_VARIABLE: str(folder), catalogue.NO_DEMO_VARIABLE: "1"}
    with serve(env=env) as url:
        yield url


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_of_the_models_is_whole(
    browser: Browser, evaluated_url: str, theme: Theme
) -> None:
    with view(browser, evaluated_url, width=1280, height=1000, theme=theme) as shown:
        shown.open("/models")
        tabs = shown.page.get_by_role("tab").all()
        assert len(tabs) == 4
        for tab in tabs:
            tab.click()
            shown.page.locator('[data-testid="stPlotlyChart"]:visible').first.wait_for()
            shown.settle()
            assert faults(shown) == {}


@pytest.mark.parametrize(
    ("path", "widget", "shown"),
    [
        ("effects?condition={0}", "condition", "{0}"),
        ("effects?condition={1}", "condition", "{1}"),
        ("effects?effects_view=One+gene&gene={2}", "gene", "{2}"),
        ("masks?mask_threshold=0.8", "mask_threshold", "0.8"),
        ("combine?combine={3}&combine={4}", "combine", "{3}\n{4}"),
    ],
)
def test_a_link_restores_the_view(window: View, path: str, widget: str, shown: str) -> None:
    effects, masks = table("effects"), table("masks")
    names = [*effects.obs_names[-2:], effects.var_names[-1], *masks.obs_names[-2:]]
    window.open("/" + path.format(*map(quote_plus, names)))
    for _ in range(2):
        assert window.state(widget) == shown.format(*names)
        assert faults(window) == {}
        window.page.reload()
        window.settle()


def test_a_choice_lands_in_the_link_and_survives_a_reload(window: View) -> None:
    window.open("/effects")
    names = table("effects").obs_names[::-1]
    name = next(name for name in names if name != window.state("condition"))
    box = window.page.get_by_role("combobox", name="Perturbation", exact=True)
    box.fill(name)
    box.press("Enter")
    window.page.wait_for_function(
        "name => new URLSearchParams(location.search).get('condition') === name", arg=name
    )
    window.settle()
    window.page.reload()
    window.settle()
    assert window.state("condition") == name
    assert faults(window) == {}


def test_a_link_to_an_unknown_checkpoint_says_so(window: View) -> None:
    window.open("/?run=nothing-of-this-name")
    window.page.get_by_text("nothing-of-this-name").first.wait_for()
    assert faults(window) == {}


def test_light_and_dark_differ(browser: Browser, app_url: str) -> None:
    brightness = []
    for theme in ("light", "dark"):
        with view(browser, app_url, theme=theme) as shown:
            shown.open()
            brightness.append(sum(shown.background()))
    assert brightness[0] > 3 * 200 > 3 * 80 > brightness[1]


def test_hovering_a_mask_entry_tells_its_seeds(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("seeds")
    write_seeds(folder)
    env = {catalogue.RUNS_VARIABLE: str(folder), catalogue.NO_DEMO_VARIABLE: "1"}
    with serve(env=env) as url, view(browser, url, height=1200) as shown:
        shown.open("/masks?run=seed0")
        shown.page.get_by_text("Stability", exact=True).click()
        shown.page.get_by_text("Share of").wait_for()
        shown.settle()
        box = shown.page.locator('[data-testid="stPlotlyChart"] .hm image').first.bounding_box()
        assert box is not None
        shown.page.mouse.move(box["x"] + 30, box["y"] + 40)
        shown.page.locator(".hoverlayer").get_by_text("of 2 seeds").wait_for()
        assert "mask_view=Stability" in shown.page.url
        assert faults(shown) == {}
