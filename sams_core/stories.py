"""Stories: saved views of the explorer in the order in which they are presented, as a JSON file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from sams_core.errors import StoryError

MAX_BYTES = 512 * 1024
MAX_VIEWS = 60
MAX_NAME, MAX_CAPTION, MAX_ADDRESS = 90, 600, 2000
_ADDRESS = re.compile(r"[a-z][a-z0-9_]*(\?[A-Za-z0-9_.~%+&=!$'()*,;:@/-]*)?")
OWN_PARAMETERS = frozenset({"present", "report", "image", "embed", "embed_options"})
"""Query parameters that say how a view is looked at, not what it shows."""


def _one_line(text: Any) -> Any:
    return " ".join(text.split()) if isinstance(text, str) else text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has control characters")
    return text


_Line = Annotated[str, BeforeValidator(_one_line), AfterValidator(_printable)]


class View(BaseModel):
    """One saved view.

    Attributes
    ----------
    name
        What the slide is called.
    caption
        What it shows, in a sentence; may be empty.
    url
        Page of the app and its query: ``masks?run=papalexi2021_thp1``. Never an address elsewhere.
    figure
        Key of the figure that fills the slide; None for the whole page.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[_Line, Field(min_length=1, max_length=MAX_NAME)]
    caption: Annotated[_Line, Field(max_length=MAX_CAPTION)] = ""
    url: Annotated[str, Field(max_length=MAX_ADDRESS)]
    figure: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$")] | None = None

    @field_validator("url")
    @classmethod
    def _own(cls, url: str) -> str:
        if not _ADDRESS.fullmatch(url):
            raise ValueError(
                "it should be a page of this app and its query, as in masks?run=NAME, and nothing "
                "else"
            )
        page, _, query = url.partition("?")
        return address(page, parse_qsl(query, keep_blank_values=True))

    @property
    def page(self) -> str:
        """Name of the page."""
        return self.url.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The page's parameters in order; a name may come several times."""
        return parse_qsl(self.url.partition("?")[2], keep_blank_values=True)


class Story(BaseModel):
    """Views in the order in which they are presented.

    Attributes
    ----------
    title
        What the presentation is called.
    views
        At most `MAX_VIEWS`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["sams_core.story"] = "sams_core.story"
    format_version: Literal[1] = 1
    title: Annotated[_Line, Field(min_length=1, max_length=MAX_NAME)] = "My story"
    views: Annotated[tuple[View, ...], Field(max_length=MAX_VIEWS)] = ()

    def with_views(self, views: Sequence[View]) -> Story:
        """Return the story with other views.

        Raises
        ------
        StoryError
            If there are too many.
        """
        if len(views) > MAX_VIEWS:
            raise StoryError(
                f"A story holds {MAX_VIEWS} views at most: remove one before you add another."
            )
        return self.model_copy(update={"views": tuple(views)})

    def added(self, view: View) -> Story:
        """Return the story with one more view at its end."""
        return self.with_views([*self.views, view])

    def replaced(self, at: int, view: View) -> Story:
        """Return the story with another view at a place, counted from 0."""
        return self.with_views([*self.views[:at], view, *self.views[at + 1 :]])

    def removed(self, at: int) -> Story:
        """Return the story without one of its views."""
        return self.with_views([*self.views[:at], *self.views[at + 1 :]])

    def moved(self, at: int, by: int) -> Story:
        """Return the story with one view ``by`` places later, not beyond either end."""
        others = [*self.views[:at], *self.views[at + 1 :]]
        to = min(max(at + by, 0), len(others))
        return self.with_views([*others[:to], self.views[at], *others[to:]])


def address(page: str, query: Sequence[tuple[str, str]] | Mapping[str, str]) -> str:
    """Write a page and what it shows as a view's ``url``."""
    pairs = query.items() if isinstance(query, Mapping) else query
    kept = [(name, value) for name, value in pairs if name not in OWN_PARAMETERS]
    return f"{page}?{urlencode(kept)}" if kept else page


def make_view(
    name: str, caption: str, url: str, figure: str | None, *, pages: Collection[str]
) -> View:
    """Make a view of what somebody typed.

    Raises
    ------
    StoryError
        If a field is empty, too long or no address of these pages.
    """
    try:
        view = View(name=name, caption=caption, url=url.strip(), figure=figure)
    except ValidationError as error:
        field, problem = _first(error)
        raise StoryError(f"The {_WORDS.get(field, field)} cannot be kept: {problem}.") from None
    _check_page(view, pages, f"The address “{view.url[:60]}”")
    return view


def read_story(content: bytes | str, *, pages: Collection[str], name: str = "story") -> Story:
    """Read a story file.

    Parameters
    ----------
    content
        JSON as `write_story` writes it.
    pages
        The pages that views may show.
    name
        What messages call the file.

    Raises
    ------
    StoryError
        If it is too large, no such file, or a view leads anywhere but to ``pages``.
    """
    if len(content) > MAX_BYTES:
        raise StoryError(
            f"The file '{name}' is larger than {MAX_BYTES // 1024} kB, which no story is: choose "
            "a file that the Stories page saved."
        )
    try:
        story = Story.model_validate_json(content)
    except ValidationError as error:
        field, problem = _first(error)
        where = f"its field '{field}' is not right: {problem}" if field else problem
        raise StoryError(
            f"The file '{name}' is no story ({where}); choose a file that the Stories page saved."
        ) from None
    if not {"format", "format_version", "views"} <= story.model_fields_set:
        raise StoryError(
            f"The file '{name}' is no story (it does not say so in its field 'format'); choose a "
            "file that the Stories page saved."
        )
    for number, view in enumerate(story.views, start=1):
        _check_page(view, pages, f"View {number} of the file '{name}'")
    return story


def write_story(story: Story) -> str:
    """Write a story as JSON."""
    return story.model_dump_json(indent=2, exclude_none=True) + "\n"


_WORDS = {"url": "address"}


def _first(error: ValidationError) -> tuple[str, str]:
    """Field and words of the first problem."""
    problem = error.errors(include_url=False, include_context=False)[0]
    words = problem["msg"].removeprefix("Value error, ")
    return ".".join(map(str, problem["loc"])), words[:1].lower() + words[1:]


def _check_page(view: View, pages: Collection[str], what: str) -> None:
    if view.page not in pages:
        raise StoryError(
            f"{what} leads to the page '{view.page[:40]}', which this app does not have: choose "
            f"one of {', '.join(pages)}."
        )
