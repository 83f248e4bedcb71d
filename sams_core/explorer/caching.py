"""Results that are kept: for everybody, or for one session where they come from its upload.

Use `kept` wherever a cached result depends on a checkpoint. What depends on the embedded or
configured checkpoints is shared between users; what depends on an uploaded one is kept apart for
its session, and Streamlit drops it when that session disconnects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import streamlit as st

PRIVATE = "sams_core_private_"
"""In the path, and in the cache key, of every uploaded checkpoint and of nothing else."""
_PRIVATE_ENTRIES = 8

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def is_private(key: object) -> bool:
    """Whether a path, a cache key or a tuple with one is an uploaded checkpoint's."""
    if isinstance(key, tuple):
        return any(map(is_private, key))
    return isinstance(key, str) and PRIVATE in key


def kept(
    max_entries: int, *, shared_object: bool = False, spinner: str | bool = False
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Keep what a function returns, as long as its first argument, a key, is the same.

    Parameters
    ----------
    max_entries
        Results kept for everybody; a session keeps a few of its own upload's.
    shared_object
        Whether callers get one object, which they must not change, instead of copies.
    spinner
        What to say while it is worked out; nothing by default.
    """
    cache: Any = st.cache_resource if shared_object else st.cache_data
    few = min(max_entries, _PRIVATE_ENTRIES)

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        for_all = cache(max_entries=max_entries, show_spinner=spinner)(function)
        for_session = cache(max_entries=few, show_spinner=spinner, scope="session")(function)

        @functools.wraps(function)
        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            chosen = for_session if is_private(args[0]) else for_all
            result: Result = chosen(*args, **kwargs)
            return result

        return call

    return decorate
