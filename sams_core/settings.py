"""Settings made from keyword arguments, with errors that name the field."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sams_core.errors import ConfigError

Settings = TypeVar("Settings", bound=BaseModel)


def validated(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Make a record of keyword arguments.

    Raises
    ------
    ConfigError
        When one is unknown (the nearest name is offered), of the wrong type or out of range.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, kind.model_fields, 1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"known are {', '.join(kind.model_fields)}."
        )
        raise ConfigError(f"There is no setting {name!r}; {hint}")
    if problem["type"] == "missing":
        raise ConfigError(f"The setting {name!r} is missing: {kind.model_fields[name].description}")
    reason = problem["msg"][0].lower() + problem["msg"][1:]
    raise ConfigError(f"{name} = {problem['input']!r} cannot be used: {reason}.")
