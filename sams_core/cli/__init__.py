"""The command line: one verb for each thing that a page or a paper needs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from sams_core import __version__

VERBS = {
    "info": "Print what is understood of a screen.",
    "train": "Train a model on a screen.",
    "prepare": "Compute what the explorer shows of a trained model.",
    "evaluate": "Judge a trained model on held-out cells, beside baselines and a ceiling.",
    "import-reference": "Make a checkpoint of a model trained with the authors' code.",
    "sweep": "Train and evaluate many models, over inference, splits and seeds.",
    "compare": "Put evaluated models side by side.",
    "bundle": "Pack a prepared model into one file, to send or upload.",
    "simulate": "Write a simulated screen whose truth is known.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    build(arguments)(args=arguments, prog_name="python -m sams_core")


def build(arguments: Sequence[str]) -> typer.Typer:
    """Make the command line, loading only the verb that is called: torch takes seconds to load."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = next((argument for argument in arguments if argument in VERBS), None)
    for verb, summary in VERBS.items():
        command = _verb(verb) if verb == called else _not_called
        app.command(verb, short_help=summary)(command)
    return app


def _verb(name: str) -> Callable[..., None]:
    name = name.replace("-", "_")
    command: Callable[..., None] = getattr(import_module(f"sams_core.cli.{name}"), name)
    return command


def _not_called() -> None:
    pass


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sams_core {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool | None,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = None,
) -> None:
    """SAMS-VAE for Perturb-seq: from a screen's raw counts to the explorer.

    The usual way: info, train, prepare, then `make app RUNS=...` to look at the result.
    """
