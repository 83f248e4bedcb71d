from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from sams_core.explorer import drawn, story
from sams_core.explorer.report_maker import Making
from sams_core.explorer.story_files import EXAMPLES
from sams_core.stories import Story, View, read_story
from tests.pages.conftest import OpenPage

STORIES = [
    read_story(path.read_bytes(), pages=story.VIEW_PAGES) for path in sorted(EXAMPLES.glob("*"))
]
TWO = Story(
    title="Two *views*",
    views=(
        View(name="First [x](y)", caption="A caption", url="masks?run=simulated"),
        View(name="Second", url="start?run=real", figure="start_pearson"),
    ),
)


def text(app: AppTest) -> str:
    return "\n".join(block.value for block in [*app.markdown, *app.caption])


def with_story(app: AppTest, told: Story = TWO) -> AppTest:
    app.session_state["story"] = told
    return app.run()


def names(app: AppTest) -> list[str]:
    return [view.name for view in app.session_state["story"].views]


@pytest.mark.usefixtures("example_runs")
def test_an_empty_story_says_what_to_do(open_page: OpenPage) -> None:
    app = open_page("stories")
    assert not app.exception
    assert "Save this view" in app.info[0].value
    assert not [button for button in app.button if button.key == "save_view"]


@pytest.mark.usefixtures("example_runs")
@pytest.mark.parametrize("page", story.VIEW_PAGES)
def test_every_page_can_be_saved(open_page: OpenPage, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert app.sidebar.button(key="save_view").label == "Save this view"


@pytest.mark.usefixtures("example_runs")
def test_views_are_listed_moved_and_removed_and_all_of_it_undone(open_page: OpenPage) -> None:
    app = with_story(open_page("stories"))
    assert not app.exception
    assert r"First \[x\](y)" in text(app)
    assert app.button(key="story_up_0").disabled
    assert app.button(key="story_down_1").disabled
    app.button(key="story_down_0").click().run()
    assert names(app) == ["Second", "First [x](y)"]
    app.button(key="story_remove_0").click().run()
    assert names(app) == ["First [x](y)"]
    for _ in range(2):
        app.button(key="story_undo").click().run()
    assert app.session_state["story"] == TWO
    app.text_input(key="story_title").set_value("Other").run()
    assert app.session_state["story"].title == "Other"


@pytest.mark.usefixtures("example_runs")
@pytest.mark.parametrize("value", ["abc", "0", "999", "-1", "", "1e9", "٣"])
def test_a_bad_place_in_the_address_shows_the_page(open_page: OpenPage, value: str) -> None:
    for name in ("present", "report"):
        app = open_page("masks", {name: value})
        assert not app.exception
        assert app.title[0].value == "Masks"


@pytest.mark.usefixtures("example_runs")
def test_the_figure_on_the_stage_takes_its_shape(open_page: OpenPage) -> None:
    app = with_story(open_page("start", {"present": "2"}))
    assert not app.exception
    heights = {
        chart.proto.alt: json.loads(chart.proto.spec)["layout"]["height"]
        for chart in app.get("plotly_chart")
    }
    high, *others = heights.values()
    assert high == drawn.STAGE_HEIGHT
    assert all(height < high for height in others)


def visit(app: AppTest, step: str, page: str) -> None:
    app.query_params["report"] = step
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception


@pytest.mark.usefixtures("example_runs")
def test_a_report_visits_the_views_and_tells_what_failed(open_page: OpenPage) -> None:
    views = [*TWO.views, View(name="Gone", url="masks?run=real", figure="nothing")]
    app = with_story(open_page("stories"))
    app.button(key="story_report").click().run()
    making: Making = app.session_state["report_making"]
    assert making.visits == [
        "masks?run=simulated&report=1",
        "?run=real&report=2",
        "stories?run=real&report=done",
    ]
    app.session_state["report_making"] = Making("Mine", views, ["-"] * 4)
    app.selectbox(key="run").select("simulated").run()
    visit(app, "1", "masks")
    app.selectbox(key="run").select("real")
    visit(app, "2", "start")
    visit(app, "3", "masks")
    visit(app, "done", "stories")
    title, content = app.session_state["report_made"]
    html = content.decode()
    assert title == "Mine"
    sections = html.split("<section ")[1:]
    assert [section.count('class="plot"') > 0 for section in sections] == [True, True, False]
    assert sections[1].count('class="plot"') == 1
    assert "drew no such figure" in sections[2]
    assert "simulated screen" in sections[0]
    assert "simulated screen" not in sections[1].split("<footer>")[0]
    assert app.get("download_button")[0].proto.label == "Download report"
    assert "report_making" not in app.session_state


@pytest.mark.usefixtures("example_runs")
def test_a_report_ends_when_somebody_goes_elsewhere(open_page: OpenPage) -> None:
    app = with_story(open_page("stories"))
    app.button(key="story_report").click().run()
    app.session_state["report_making"].at = 1
    app.switch_page("pages/effects.py").run()
    assert "report_making" not in app.session_state


@pytest.mark.parametrize("told", STORIES, ids=lambda told: told.title)
def test_every_view_of_an_example_draws_its_figure(open_page: OpenPage, told: Story) -> None:
    drawn_at: dict[str, dict[str, str]] = {}
    for view in told.views:
        if view.url not in drawn_at:
            app = open_page(view.page, parse_qs(view.url.partition("?")[2]))
            assert not app.exception
            assert not app.error
            assert not app.warning
            drawn_at[view.url] = app.session_state["drawn_figures"]
        assert view.figure in drawn_at[view.url]
