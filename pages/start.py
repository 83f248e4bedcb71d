"""What is loaded, how good it is, and where to go next."""

from __future__ import annotations

from sams_core import explorer

run = explorer.current_run()
explorer.page_header("Start", "What is loaded and how far to trust it.")
