"""Command-line flags and TOML tables made from the configs, so that a setting is described once."""

from __future__ import annotations

import functools
import inspect
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from sams_core.errors import ConfigError, SamsError

Command = Callable[..., None]
_METAVARS: dict[Any, str | None] = {
    bool: None,
    int: "INTEGER",
    float: "NUMBER",
    str: "TEXT",
    list[str]: "TEXT",
}


@dataclass(frozen=True)
class Table:
    """A config as a group of flags and as a table of a TOML file.

    Attributes
    ----------
    name
        Parameter of the command, and name of the TOML table.
    title
        Heading of its flags in the help.
    config
        Its fields become the flags.
    help
        What each flag is for, where the config does not describe it itself.
    prefix
        Written before each field's name in its flag.
    """

    name: str
    title: str
    config: type[BaseModel]
    help: Mapping[str, str] = dataclass_field(default_factory=dict)
    prefix: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """Parameter of the command for each field."""
        return {name: self.prefix + name for name in self.config.model_fields}

    def describe(self, name: str) -> str:
        """Say what a field is for, with its default."""
        field = self.config.model_fields[name]
        text = self.help.get(name) or field.description or ""
        if field.is_required() or field.default in (None, "", ()):
            return text
        return f"{text} [default: {field.default}]"


def flags(*tables: Table) -> Callable[[Command], Command]:
    """Give a command one flag for every field of the tables.

    The command declares a parameter for each table and receives there the values that were given
    on the command line, as a dictionary: what was left out keeps the config's own default.
    """

    def decorate(command: Command) -> Command:
        names = {table.name for table in tables}
        signature = inspect.signature(command, eval_str=True)
        parameters = [p for p in signature.parameters.values() if p.name not in names]
        parameters += [_flag(table, name) for table in tables for name in table.config.model_fields]

        @functools.wraps(command)
        def with_tables(**arguments: Any) -> None:
            for table in tables:
                values = {name: arguments.pop(flag) for name, flag in table.parameters.items()}
                arguments[table.name] = {k: v for k, v in values.items() if v not in (None, [])}
            try:
                command(**arguments)
            except SamsError as error:
                raise type(error)(_naming_flags(str(error), tables)) from error

        with_tables.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_tables.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_tables

    return decorate


def _flag(table: Table, name: str) -> inspect.Parameter:
    kind = _kind(table.config.model_fields[name].annotation)
    parameter = table.parameters[name]
    flag, title = flag_of(parameter), table.title
    if table.config.model_fields[name].default is True:
        # Apart, since a column for the second form would cut the names of all others short.
        flag, title = f"{flag}/--no-{flag[2:]}", f"{title}: on by default"
    option = typer.Option(
        flag,
        help=table.describe(name),
        rich_help_panel=title,
        metavar=_METAVARS.get(kind, "NAME"),
        show_default=False,
    )
    return inspect.Parameter(
        parameter,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _naming_flags(sentence: str, tables: Iterable[Table]) -> str:
    """Call the fields of the tables by their flags, except inside quotes."""
    for parameter in (p for table in tables for p in table.parameters.values() if "_" in p):
        sentence = re.sub(rf"(?<![\w'\"-]){parameter}(?![\w'\"])", flag_of(parameter), sentence)
    return sentence


def flag_of(name: str) -> str:
    """Return the flag of a field."""
    return "--" + name.replace("_", "-")


def _kind(annotation: Any) -> Any:
    """Return what typer reads: a scalar, a choice, or a list for a repeatable flag."""
    members = [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
    for member in members:
        if get_origin(member) in (list, tuple, Sequence):
            return list[str]
    if get_origin(members[0]) is Literal or members[0] in (bool, int, float, str):
        return members[0]
    return str


def read_toml(path: Path, tables: Sequence[Table]) -> dict[str, dict[str, Any]]:
    """Read settings from a TOML file that may have each of the tables.

    Raises
    ------
    ConfigError
        If the file cannot be read or has a table or key that is not known.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    known = {table.name: table.config.model_fields for table in tables}
    for name, values in found.items():
        if name not in known or not isinstance(values, dict):
            expected = " and ".join(f"[{table}]" for table in known)
            raise ConfigError(f"{path} has {name!r} at its top, where only {expected} may stand.")
        for key in values.keys() - known[name].keys():
            hint = nearest(key, known[name])
            raise ConfigError(f"{path} has an unknown key {key!r} under [{name}]{hint}.")
    return {name: found.get(name, {}) for name in known}


def nearest(key: str, known: Iterable[str]) -> str:
    """Name the known key that was probably meant, or all of them."""
    known = list(known)
    close = get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}" if close else f"; it may have {', '.join(known)}"
