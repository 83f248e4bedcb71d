from __future__ import annotations

import json
from typing import Any

import pytest

from sams_core.errors import StoryError
from sams_core.stories import (
    MAX_BYTES,
    MAX_VIEWS,
    Story,
    View,
    address,
    make_view,
    read_story,
    write_story,
)

PAGES = ("start", "masks", "combine")


def view(number: int = 0, **fields: Any) -> View:
    return View(**{"name": f"View {number}", "url": f"masks?run=r&n={number}"} | fields)


def names(story: Story) -> list[str]:
    return [view.name for view in story.views]


def file(**fields: Any) -> str:
    one = {"name": "A", "url": "masks?run=r"}
    whole = {"format": "sams_core.story", "format_version": 1, "title": "T", "views": [one]}
    return json.dumps(whole | fields)


def test_a_story_comes_back_from_its_file_as_it_was() -> None:
    story = Story(
        title="Größe & “quotes”",
        views=(
            view(1, caption="A caption", figure="mask_map"),
            view(2, url="combine?combine=A&combine=B+C&doses=0.5"),
            view(3, url="start"),
        ),
    )
    assert read_story(write_story(story), pages=PAGES) == story
    assert read_story(write_story(story).encode(), pages=PAGES) == story


def test_an_address_keeps_repeated_names_and_drops_how_it_is_looked_at() -> None:
    url = address(
        "combine", [("combine", "A"), ("combine", "B C"), ("present", "2"), ("image", "")]
    )
    assert url == "combine?combine=A&combine=B+C"
    made = view(url=f"{url}&present=3&report=1&embed=true")
    assert made.url == url
    assert made.query == [("combine", "A"), ("combine", "B C")]
    assert made.page == "combine"
    assert address("start", {"present": "1"}) == "start"


OUTSIDE = [
    "https://example.org/masks",
    "//example.org/masks",
    "/masks",
    "\\\\example.org",
    "javascript:alert(1)",
    "masks?run=r#elsewhere",
    "masks/../start",
    "../masks",
    "masks?run=<script>",
    'masks?run="',
    "masks?a=b\nc",
    " masks",
    "",
    "masks?" + "x" * 3000,
]


@pytest.mark.parametrize("url", OUTSIDE)
def test_an_address_outside_the_app_is_refused(url: str) -> None:
    with pytest.raises(StoryError, match=r"views\.0\.url"):
        read_story(file(views=[{"name": "A", "url": url}]), pages=PAGES)


def test_a_page_that_the_app_has_not_is_refused() -> None:
    with pytest.raises(StoryError, match=r"View 1 .* leads to the page 'elsewhere'"):
        read_story(file(views=[{"name": "A", "url": "elsewhere?run=r"}]), pages=PAGES)


BAD = {
    "not JSON": "{",
    "empty": "",
    "a list": "[]",
    "another format": file(format="other"),
    "another version": file(format_version=2),
    "no format": json.dumps({"title": "T", "views": []}),
    "no name": file(views=[{"name": " ", "url": "masks"}]),
    "a long name": file(views=[{"name": "x" * 1000, "url": "masks"}]),
    "a long caption": file(views=[{"name": "A", "caption": "x" * 9000, "url": "masks"}]),
    "an unknown field": file(views=[{"name": "A", "url": "masks", "script": "x"}]),
    "a figure that is no key": file(
        views=[{"name": "A", "url": "masks", "figure": "x{color:red}"}]
    ),
    "a number for a name": file(views=[{"name": 3, "url": "masks"}]),
    "too many views": file(views=[{"name": "A", "url": "masks"}] * (MAX_VIEWS + 1)),
    "too deep": "[" * 5000,
    "control characters": file(views=[{"name": "A\u0000", "url": "masks"}]),
    "text that reads backwards": file(title="\u202eabc"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_told_in_one_sentence(case: str) -> None:
    with pytest.raises(StoryError) as told:
        read_story(BAD[case], pages=PAGES, name="mine.json")
    sentence = str(told.value)
    assert "'mine.json' is no story" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(StoryError, match="larger than 512 kB"):
        read_story(" " * MAX_BYTES + file(), pages=PAGES)


def test_views_move_but_not_beyond_the_ends() -> None:
    story = Story(views=(view(0), view(1), view(2)))
    assert names(story.moved(0, 1)) == ["View 1", "View 0", "View 2"]
    assert names(story.moved(2, -1)) == ["View 0", "View 2", "View 1"]
    assert names(story.moved(0, -1)) == names(story.moved(2, 5)) == names(story)
    assert names(story.moved(0, 9)) == ["View 1", "View 2", "View 0"]


def test_views_are_added_replaced_and_removed() -> None:
    story = Story(views=(view(0), view(1)))
    assert names(story.added(view(2))) == ["View 0", "View 1", "View 2"]
    assert names(story.replaced(0, view(9))) == ["View 9", "View 1"]
    assert names(story.removed(1)) == ["View 0"]
    assert names(story) == ["View 0", "View 1"]


def test_a_story_has_an_end() -> None:
    story = Story(views=tuple(view(number) for number in range(MAX_VIEWS)))
    with pytest.raises(StoryError, match="60 views at most"):
        story.added(view(99))


def test_what_somebody_types_becomes_a_view_or_a_sentence() -> None:
    made = make_view(" Two\n lines ", "  ", " masks?run=r ", None, pages=PAGES)
    assert (made.name, made.caption, made.url) == ("Two lines", "", "masks?run=r")
    with pytest.raises(StoryError, match="The name cannot be kept"):
        make_view(" ", "", "masks", None, pages=PAGES)
    with pytest.raises(StoryError, match="The address cannot be kept"):
        make_view("A", "", "http://example.org", None, pages=PAGES)
    with pytest.raises(StoryError, match="leads to the page 'other'"):
        make_view("A", "", "other", None, pages=PAGES)
