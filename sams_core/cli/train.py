"""`train`: a model from a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import BaseModel

from sams_core.cli.flags import Table, flag_of, flags, read_toml
from sams_core.cli.screens import READER, plain, read
from sams_core.cli.terminal import (
    INTERRUPTED,
    fail,
    progress_console,
    reports_failures,
    say,
    this_command,
)
from sams_core.data import ReaderOptions, Screen, read_screen, summarise
from sams_core.errors import ConfigError
from sams_core.models.config import SAMSVAEConfig
from sams_core.settings import validated
from sams_core.training.config import TrainingConfig

if TYPE_CHECKING:
    from sams_core.api import SAMSVAE
    from sams_core.training import Hardware

MODEL = Table("model", "Model", SAMSVAEConfig)
TRAINING = Table("training", "Training", TrainingConfig)
MAX_CONDITIONS = 10


@reports_failures
@flags(READER, MODEL, TRAINING)
def train(
    screen: Annotated[
        Path, typer.Argument(metavar="SCREEN", help="An .h5ad file or .zarr folder.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="Folder of the checkpoint, to be made.")
    ],
    reader: dict[str, Any],
    model: dict[str, Any],
    training: dict[str, Any],
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with tables [model] and [training], whose keys are the flags' names "
            "with underscores; a flag wins over the file.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a training that was interrupted, to the weights it would have "
            "reached; starts from the beginning where RUN does not exist.",
        ),
    ] = False,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the explorer calls the result.")
    ] = None,
    accelerator: Annotated[
        Literal["auto", "cpu", "gpu"],
        typer.Option(
            metavar="NAME", help="cpu, gpu, or auto, which takes a GPU where there is one."
        ),
    ] = "auto",
    devices: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER", min=1, help="How many GPUs or processes; all GPUs by default."
        ),
    ] = None,
) -> None:
    """Train SAMS-VAE on a screen and keep the weights that do best on validation cells.

    The counts must be raw. While it trains, RUN holds a checkpoint that can be loaded, and after
    an interruption --resume goes on. Then run prepare, and open the result in the explorer.
    """
    if config is not None:
        file = read_toml(config, (MODEL, TRAINING))
        model, training = {**file["model"], **model}, {**file["training"], **training}
    model, training = _checked(SAMSVAEConfig, model), _checked(TrainingConfig, training)
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from sams_core.training import Hardware

    hardware = Hardware(accelerator, devices or "auto")
    try:
        if resume and out.exists() and not _is_empty(out):
            trained = _resume(screen, out, {**plain(reader), **model, **training}, hardware)
        else:
            trained = _begin(read(screen, reader), out, title, model, training, hardware)
    except MisconfigurationException as error:
        raise ConfigError(f"Training cannot use this hardware: {error}") from error
    except KeyboardInterrupt:
        fail(f"Stopped. To go on: {this_command('--resume')}", INTERRUPTED)
    _report(trained, out)


def _checked(kind: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Settings of a file or of flags in the types that they are recorded in."""
    config = validated(kind, values)
    return {name: getattr(config, name) for name in values}


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _begin(
    screen: Screen,
    out: Path,
    title: str | None,
    model: dict[str, Any],
    training: dict[str, Any],
    hardware: Hardware,
) -> SAMSVAE:
    from sams_core.api import SAMSVAE

    say(summarise(screen).to_text(MAX_CONDITIONS) + "\n")
    made = SAMSVAE(screen, seed=training.get("seed", 0), title=title, **model)
    return made.train(out=out, hardware=hardware, progress=progress_console(), **training)


def _resume(path: Path, out: Path, settings: dict[str, Any], hardware: Hardware) -> SAMSVAE:
    from sams_core.api import SAMSVAE

    model = SAMSVAE.load(out)
    reader = ReaderOptions.model_validate(model.record.data.reader)
    recorded = {
        **model.config.model_dump(),
        **model.training_config.model_dump(),
        **reader.model_dump(),
    }
    for name, value in settings.items():
        if value != recorded[name]:
            raise ConfigError(
                f"{out} was begun with {flag_of(name)} {recorded[name]}, so it cannot go on with "
                f"{value}: leave the flag out, or train into another folder."
            )
    if not model.unfinished:
        say(f"{out} is trained to its end; there is nothing to resume.")
        return model
    say(f"Going on with {out}.\n")
    model.attach(read_screen(path, options=reader))
    return model.resume(hardware=hardware, progress=progress_console())


def _report(model: SAMSVAE, out: Path) -> None:
    curves = model.history
    if len(curves):
        validation = curves[curves["split"] == "validation"]
        best = validation if len(validation) else curves
        share = float((model.mask_probabilities() > 0.5).to_numpy().mean())
        say(
            f"\nTrained for {int(curves['step'].iloc[-1]):,} steps in "
            f"{curves['seconds'].iloc[-1]:,.0f} s. Highest ELBO on {best['split'].iloc[0]} cells: "
            f"{best['elbo'].max():.1f} a cell. Mask entries open: {share:.1%}."
        )
    say(f"\nWritten to {out}. Next:", style="bold")
    say(f"  python -m sams_core prepare {out}")
