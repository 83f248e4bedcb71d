"""`train`: a model from a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import BaseModel

from sams_core.cli.flags import Table, flag_of, flags, read_toml
from sams_core.cli.screens import READER, OnDisk, plain, read
from sams_core.cli.terminal import (
    INTERRUPTED,
    fail,
    progress_console,
    reports_failures,
    say,
    this_command,
)
from sams_core.data import ReaderOptions, Screen, read_screen, summarise
from sams_core.data.splits import SplitConfig
from sams_core.errors import ConfigError
from sams_core.models.config import SAMSVAEConfig
from sams_core.settings import validated
from sams_core.source import read_source
from sams_core.training.config import TrainingConfig

if TYPE_CHECKING:
    from sams_core.perturbation_model import PerturbationModel
    from sams_core.training import Hardware

Family = Literal["sams_vae", "cpa_vae", "svae_plus", "conditional_vae"]
MODEL = Table("model", "Model", SAMSVAEConfig)
TRAINING = Table("training", "Training", TrainingConfig)
SPLIT = Table("split", "Which cells train", SplitConfig, prefix="split_")
MAX_CONDITIONS = 10


@reports_failures
@flags(READER, MODEL, TRAINING, SPLIT)
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
    split: dict[str, Any],
    family: Annotated[
        Family | None,
        typer.Option(
            metavar="NAME",
            help="sams_vae (a few latents shifted, shifts add up), cpa_vae (all latents shifted, "
            "shifts add up), svae_plus (a few latents shifted, each condition on its own) or "
            "conditional_vae (the networks are told the perturbations). [default: sams_vae]",
        ),
    ] = None,
    combinations: Annotated[
        Literal["sum", "own"] | None,
        typer.Option(
            metavar="NAME",
            help="sum: a combination is the sum of its perturbations; own: it is a perturbation "
            "of its own. [default: own for svae_plus, sum for the others]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with tables [model], [training] and [split], whose keys are the flags' "
            "names with underscores (those of [split] without split_); a flag wins over the file.",
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
    on_disk: OnDisk = False,
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
            metavar="INTEGER",
            min=1,
            help="How many GPUs, or processes on a CPU, of each machine; all its GPUs by default. "
            "They share every minibatch and take the steps that one would take.",
        ),
    ] = None,
    num_nodes: Annotated[
        int,
        typer.Option(
            metavar="INTEGER",
            min=1,
            help="How many machines of a cluster, on each of which srun or torchrun starts this "
            "command once for every device.",
        ),
    ] = 1,
) -> None:
    """Train a model on a screen and keep the weights that do best on validation cells.

    The counts must be raw. While it trains, RUN holds a checkpoint that can be loaded, and after
    an interruption --resume goes on. Then run prepare, and open the result in the explorer.
    """
    if config is not None:
        file = read_toml(config, (MODEL, TRAINING, SPLIT))
        model, training = {**file["model"], **model}, {**file["training"], **training}
        split = {**file["split"], **split}
    training, split = _checked(TrainingConfig, training), _checked(SplitConfig, split, SPLIT.prefix)
    asked = {"family": family, "combinations": combinations, "split": split, "on_disk": on_disk}
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from sams_core.training import Hardware

    hardware = Hardware(accelerator, devices or "auto", num_nodes)
    try:
        if resume and out.exists() and not _is_empty(out):
            trained = _resume(screen, out, {**plain(reader), **training}, model, asked, hardware)
        else:
            cells = read(screen, reader, on_disk=on_disk)
            trained = _begin(cells, out, title, asked, model, training, hardware)
    except MisconfigurationException as error:
        raise ConfigError(f"Training cannot use this hardware: {error}") from error
    except KeyboardInterrupt:
        fail(f"Stopped. To go on: {this_command('--resume')}", INTERRUPTED)
    _report(trained, out)


def _checked(kind: type[BaseModel], values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of a file or of flags in the types that they are recorded in."""
    try:
        config = validated(kind, values)
    except ConfigError as error:  # begins with the field's name
        raise ConfigError(f"{prefix}{error}") from error
    return {name: getattr(config, name) for name in values}


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _begin(
    screen: Screen,
    out: Path,
    title: str | None,
    asked: dict[str, Any],
    model: dict[str, Any],
    training: dict[str, Any],
    hardware: Hardware,
) -> PerturbationModel:
    from sams_core.api import FAMILIES

    kind = FAMILIES[asked["family"] or "sams_vae"]
    seed = training.get("seed", 0)
    split = None
    if asked["split"] or screen.split is None:
        split = SplitConfig.model_validate({"seed": seed, **asked["split"]})
    model = _checked(kind.Config, model)
    say(summarise(screen).to_text(MAX_CONDITIONS) + "\n")
    made = kind(
        screen, split=split, seed=seed, title=title, combinations=asked["combinations"], **model
    )
    return made.train(out=out, hardware=hardware, progress=progress_console(), **training)


def _resume(
    path: Path,
    out: Path,
    settings: dict[str, Any],
    hyperparameters: dict[str, Any],
    asked: dict[str, Any],
    hardware: Hardware,
) -> PerturbationModel:
    from sams_core.api import load_model

    model = load_model(out)
    record = model.record
    reader = ReaderOptions.model_validate(record.data.reader)
    recorded = {
        **model.config.model_dump(),
        **model.training_config.model_dump(),
        **reader.model_dump(),
        "family": record.family,
        "combinations": record.combinations,
        **{f"split_{name}": value for name, value in (record.split or {}).items()},
    }
    wanted = {
        **settings,
        **_checked(model.Config, hyperparameters),
        **{name: asked[name] for name in ("family", "combinations") if asked[name]},
        **{f"split_{name}": value for name, value in asked["split"].items()},
    }
    for name, value in wanted.items():
        if name not in recorded:
            raise ConfigError(
                f"{out} was begun with the screen's own split, so it cannot go on with "
                f"{flag_of(name)}: leave the flag out, or train into another folder."
            )
        if value != recorded[name]:
            raise ConfigError(
                f"{out} was begun with {flag_of(name)} {recorded[name]}, so it cannot go on with "
                f"{value}: leave the flag out, or train into another folder."
            )
    if not model.unfinished:
        say(f"{out} is trained to its end; there is nothing to resume.")
        return model
    say(f"Going on with {out}.\n")
    on_disk = asked["on_disk"] or bool(read_source(out).get("on_disk"))
    model.attach(read_screen(path, options=reader, on_disk=on_disk))
    return model.resume(hardware=hardware, progress=progress_console())


def _report(model: PerturbationModel, out: Path) -> None:
    curves = model.history
    if len(curves):
        validation = curves[curves["split"] == "validation"]
        best = validation if len(validation) else curves
        say(
            f"\nTrained for {int(curves['step'].iloc[-1]):,} steps in "
            f"{curves['seconds'].iloc[-1]:,.0f} s. Highest ELBO on {best['split'].iloc[0]} cells: "
            f"{best['elbo'].max():.1f} a cell."
        )
    if model.has_mask:
        trained = (model.module.cells_per_perturbation > 0).cpu().numpy()
        share = float((model.mask_probabilities()[trained] > 0.5).to_numpy().mean())
        say(f"Mask entries open: {share:.1%}.")
    say(f"\nWritten to {out}. Next:", style="bold")
    say(f"  python -m sams_core prepare {out}")
