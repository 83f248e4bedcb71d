"""The TOML file of a sweep, read and checked without torch."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sams_core.errors import ConfigError
from sams_core.settings import validated


class SweepConfig(BaseModel):
    """What a sweep's file holds; the tables' own fields are checked where they are used.

    Attributes
    ----------
    path
        The file; paths in it are relative to its folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    screen: str | None = Field(None, description="An .h5ad file or .zarr folder.")
    title: str | None = Field(None, description="What pages call the runs.")
    reader: dict[str, Any] = Field({}, description="How the screen is read.")
    simulation: dict[str, Any] | None = Field(None, description="A screen to simulate instead.")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        [0], min_length=1, description="Seeds of weights and training."
    )
    seed_splits: bool = Field(
        False, description="Whether the seed of a run is also that of its split."
    )
    prepare: bool = Field(False, description="Whether the explorer's tables are made too.")
    models: list[dict[str, Any]] = Field(
        min_length=1, description="give at least one table [[models]] with a family."
    )
    training: dict[str, Any] = Field({}, description="Training settings that all models share.")
    splits: list[dict[str, Any]] = Field([], description="Recipes of splits.")
    evaluation: dict[str, Any] = Field({}, description="Settings of the evaluation.")

    def beside(self, path: str) -> Path:
        """Return where a path that the file names is."""
        return (self.path.parent / Path(path).expanduser()).resolve()


def read_sweep(path: str | Path) -> SweepConfig:
    """Read a sweep's file.

    Raises
    ------
    ConfigError
        When it cannot be read, has an unknown key at its top, or names no screen or two.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    with placed(path):
        if "path" in found:
            raise ConfigError("There is no setting 'path': name the screen with 'screen'.")
        config = validated(SweepConfig, found | {"path": path})
        if (config.screen is None) == (config.simulation is None):
            raise ConfigError(
                'Name the cells in one way: screen = "FILE.h5ad" or a table [simulation].'
            )
        if config.simulation is not None and config.reader:
            raise ConfigError("The table [reader] goes with screen = ..., not with [simulation].")
        if len(set(config.seeds)) < len(config.seeds):
            raise ConfigError("The list seeds holds a seed twice: name each once.")
    return config


@contextmanager
def placed(path: Path, table: str = "") -> Iterator[None]:
    """Say in which file, and in which table of it, a setting is wrong."""
    try:
        yield
    except ConfigError as error:
        place = f"{path}, {table}" if table else str(path)
        raise ConfigError(f"{place}: {error}") from None
