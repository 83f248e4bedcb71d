"""Which checkpoint is shown: the sidebar's picker, kept in the URL as ``run=``."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from sams_core.analysis.markdown import escape, escape_sentence
from sams_core.errors import SamsError
from sams_core.explorer import catalogue
from sams_core.explorer.glossary_list import glossary_popover
from sams_core.explorer.navigation import enter_by_the_front_door
from sams_core.explorer.run import Run, open_run

RUN_KEY = "run"
SIMULATED_KEY = "screen_is_simulated"
SHOWN_KEY = "shown_run"
_NEXT, _PAGE = "next_run", "page_before"
_LISTED = 12

_UPLOAD_GONE = " An uploaded checkpoint goes with its window: upload it again on the page Open."
_NOTHING_YET = """
There is no trained model to show yet. If you have one as a bundle (a `.zip` file), upload it on the
page Open. Otherwise train one on your own screen and prepare its tables:

```
python -m sams_core train SCREEN.h5ad --perturbation-key COLUMN --control LABEL --out runs/mine
python -m sams_core prepare runs/mine
```

then start the app with `make app RUNS=runs`. The page Open shows first how a screen is understood.
"""


def sidebar() -> None:
    """Draw the checkpoint picker; called once, by the front door."""
    entries = catalogue.find()
    with st.sidebar:
        if any(not entry.only_evaluated for entry in entries):
            _picker(entries)
        glossary_popover()


def current_run() -> Run:
    """Return the checkpoint that the sidebar points to; stop the page with a sentence if none."""
    enter_by_the_front_door()
    entries = catalogue.find()
    if not entries:
        st.info(_NOTHING_YET, title="No checkpoint found", icon=":material/folder_open:")
        st.page_link("pages/open.py", label="Open", icon=":material/folder_open:")
        st.stop()
    run = open_entry(chosen_entry(entries))
    mark_simulated(run.simulated)
    st.session_state[SHOWN_KEY] = run
    return run


def open_entry(entry: catalogue.Entry) -> Run:
    """Open a checkpoint; stop the page with a sentence if it cannot be shown."""
    try:
        return open_run(entry)
    except SamsError as error:
        st.error(
            escape_sentence(error),
            title=f"The checkpoint {escape(entry.name)} cannot be shown",
            icon=":material/folder_off:",
        )
        st.stop()


def chosen_entry(entries: list[catalogue.Entry]) -> catalogue.Entry:
    """Return the one of these checkpoints that the sidebar points to."""
    return catalogue.lookup(entries, str(st.session_state.get(RUN_KEY, ""))) or entries[0]


def choose_run(name: str) -> None:
    """Have the sidebar point to a checkpoint from when the page runs next."""
    st.session_state[_NEXT] = name


def mark_simulated(simulated: bool) -> None:
    """Have the figures and files that follow say whether their screen is simulated."""
    st.session_state[SIMULATED_KEY] = simulated


def _picker(entries: list[catalogue.Entry]) -> None:
    moved = _page_changed()
    if chosen := st.session_state.pop(_NEXT, None):
        st.session_state[RUN_KEY] = chosen
    else:
        _settle_url(entries, moved=moved)
    hidden = sum(entry.only_evaluated for entry in entries)
    entries = [entry for entry in entries if not entry.only_evaluated]
    names = [entry.name for entry in entries]
    name = st.selectbox(
        "Checkpoint",
        names,
        key=RUN_KEY,
        bind="query-params",
        help="The trained model that every page shows. The choice is kept in the page's address, "
        "so that a shared link opens the same one.",
    )
    entry = catalogue.lookup(entries, name) or entries[0]
    if entry.title:
        st.caption(escape(entry.title))
    if hidden:
        st.caption(f"{hidden:,} more are evaluated but not prepared: the Models page has them.")
    broken = [entry for entry in entries if entry.problem is not None]
    if broken:
        label = f"{len(broken)} folder{'s' if len(broken) > 1 else ''} cannot be shown"
        with st.expander(label, icon=":material/folder_off:"):
            for entry in broken[:_LISTED]:
                st.markdown(f"**{escape(entry.name)}**: {escape_sentence(entry.problem)}")
            if len(broken) > _LISTED:
                st.markdown(f"and {len(broken) - _LISTED:,} more")


def _page_changed() -> bool:
    """Whether this is another page than before, or the first."""
    context = get_script_run_ctx()
    page = context.page_script_hash if context else ""
    before, st.session_state[_PAGE] = st.session_state.get(_PAGE), page
    return bool(page != before)


def _settle_url(entries: list[catalogue.Entry], *, moved: bool) -> None:
    """Obey a link to another page, which Streamlit does not for what is beside all pages.

    A digest in the URL becomes its name; a URL that names nothing known is told.
    """
    wanted = st.query_params.get(RUN_KEY)
    if not wanted:
        return
    entry = catalogue.lookup(entries, wanted)
    if entry is not None and entry.only_evaluated:
        st.warning(escape_sentence(entry.problem), icon=":material/link_off:")
        return
    if entry is not None:
        if moved or entry.name != wanted:
            st.session_state[RUN_KEY] = entry.name
        return
    st.warning(
        f"The link names a checkpoint that is not here (“{escape(wanted[:60])}”); "
        f"showing {escape(entries[0].name)} instead."
        + (_UPLOAD_GONE if wanted.endswith("(uploaded)") else ""),
        icon=":material/link_off:",
    )
