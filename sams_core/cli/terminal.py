"""How the commands speak: results on stdout, one sentence about a failure on stderr."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer
from rich.console import Console

from sams_core.errors import SamsError

USAGE_ERROR = 2
INTERRUPTED = 130
NO_MEMORY = (
    "There is not enough memory for this; close other programs, or use a smaller screen, model or "
    "batch."
)

Arguments = ParamSpec("Arguments")


def say(text: str = "", *, style: str | None = None) -> None:
    """Print a line of the result; of several training processes only the first speaks."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    if int(next(filter(None, ranks), "0")) == 0:
        Console(soft_wrap=True, highlight=False, markup=False).print(text, style=style)


def progress_console() -> Console:
    """Return where progress goes: in a file or a pipe, no line is broken."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def fail(sentence: str, code: int = USAGE_ERROR) -> NoReturn:
    """Print what is wrong, on stderr, and leave."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    console.print("Error:", style="bold red", end=" ")
    console.print(" ".join(sentence.split()))
    raise typer.Exit(code)


def this_command(*extra: str) -> str:
    """Repeat the command line being run, with more arguments, ready for a shell."""
    arguments = [*sys.argv[1:], *(e for e in extra if e not in sys.argv)]
    return "python -m sams_core " + shlex.join(arguments)


def reports_failures(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Let a command end in one sentence and exit code 2 whenever its user can mend the cause."""

    @functools.wraps(command)
    def reporting(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SamsError as error:
            fail(str(error))
        except BrokenPipeError:
            raise
        except OSError as error:
            fail(f"{error.filename or 'the file system'}: {error.strerror or error}.")
        except MemoryError:
            fail(NO_MEMORY)
        except RuntimeError as error:  # torch's way of saying it, on CPUs and on GPUs
            if "allocate memory" not in str(error) and "out of memory" not in str(error):
                raise
            fail(NO_MEMORY)

    return reporting
