"""Everything that knows Streamlit and is shared by the pages."""

from __future__ import annotations

from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.history import steady_history
from sams_core.explorer.navigation import front_door, navigation
from sams_core.explorer.run import Run
from sams_core.explorer.save_view import save_view
from sams_core.explorer.stage import stage
from sams_core.explorer.state import current_run, sidebar
from sams_core.explorer.warm import warm_up
from sams_core.explorer.widgets import header, page_header, show_figure, show_table

__all__ = [
    "GLOSSARY",
    "Run",
    "current_run",
    "front_door",
    "header",
    "navigation",
    "page_header",
    "save_view",
    "show_figure",
    "show_table",
    "sidebar",
    "stage",
    "steady_history",
    "warm_up",
]
