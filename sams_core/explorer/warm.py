"""What only the Combine page needs, imported while somebody reads another page."""

from __future__ import annotations

import importlib
import threading
from functools import cache

HEAVY = ("sams_core.api", "sams_core.analysis.combinations")


@cache
def warm_up() -> threading.Thread:
    """Import the model's code (torch: seconds) in the background, once in a server's life.

    Call it when a page has been drawn, so that the page does not wait for it.
    """
    thread = threading.Thread(target=_import, name="warm_up", daemon=True)
    thread.start()
    return thread


def _import() -> None:
    for module in HEAVY:
        importlib.import_module(module)
