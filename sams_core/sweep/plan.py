"""Which runs a sweep consists of, under which names and with which settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sams_core.analysis.evaluation_config import EvaluationConfig
from sams_core.api import FAMILIES
from sams_core.data.gaussian_simulation import GaussianSimulationConfig
from sams_core.data.gene_sets import read_gmt
from sams_core.data.options import ReaderOptions
from sams_core.data.simulation import SimulationConfig
from sams_core.data.splits import SplitConfig
from sams_core.errors import ConfigError, ScreenError
from sams_core.record import Combinations
from sams_core.settings import validated
from sams_core.sweep.config import SweepConfig, placed
from sams_core.training.config import TrainingConfig

SIMULATIONS: dict[str, type[BaseModel]] = {
    "counts": SimulationConfig,
    "gaussian": GaussianSimulationConfig,
}
_SPLIT_SLUGS = {"ood_combinations": "ood", "data_efficiency": "efficiency"}


class RunPlan(BaseModel):
    """One run: a model, a split and a seed.

    Attributes
    ----------
    name
        Its folder under ``runs``.
    label
        What tables call the model; None for the family's name.
    family, model, combinations, training
        The family, its hyperparameters (all of them), and the training settings (all of them).
    split
        The recipe of its split; None for the screen's own.
    seed
        Of the weights and the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str | None
    family: str
    model: dict[str, Any]
    combinations: Combinations
    training: dict[str, Any]
    split: dict[str, Any] | None
    seed: int


class SweepPlan(BaseModel):
    """A whole sweep, as ``sweep.json`` keeps it.

    Attributes
    ----------
    screen
        Path of the screen; None for the one that is simulated in the sweep's folder.
    title
        What pages call the runs.
    reader
        How the screen is read.
    simulation
        Settings of the simulated screen.
    fingerprint
        Of the screen, once it has been read.
    evaluation
        Settings of the evaluation (all of them).
    prepare
        Whether the explorer's tables are made too.
    runs
        In the order in which they are run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    screen: str | None
    title: str | None
    reader: dict[str, Any]
    simulation: dict[str, Any] | None
    fingerprint: str | None = None
    evaluation: dict[str, Any]
    prepare: bool
    runs: list[RunPlan]


class _ModelEntry(BaseModel):
    """A table [[models]]; what is not named here is a hyperparameter."""

    model_config = ConfigDict(frozen=True, extra="allow")

    family: str = Field(description="name one of sams_vae, cpa_vae, svae_plus, conditional_vae.")
    label: str | None = None
    combinations: Combinations | None = None
    training: dict[str, Any] = {}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return self.model_extra or {}


def make_plan(config: SweepConfig) -> SweepPlan:
    """Expand a sweep's configuration into its runs and check every setting of each.

    Raises
    ------
    ConfigError
        Naming the file, the table and the setting.
    """
    with placed(config.path, "[training]"):
        _training(config.training)
    models, splits = list(_models(config)), list(_splits(config))
    runs = [
        model.model_copy(
            update={
                "name": f"{model.name}--{split_name}--seed{seed}",
                "training": model.training | {"seed": seed},
                "split": None if split is None else _seeded(split, seed, config),
                "seed": seed,
            }
        )
        for model in models
        for split_name, split in splits
        for seed in config.seeds
    ]
    return SweepPlan(
        screen=None if config.screen is None else str(config.beside(config.screen)),
        title=config.title or (None if config.simulation is None else "Simulated screen"),
        reader=_reader(config),
        simulation=_simulation(config),
        evaluation=_evaluation(config),
        prepare=config.prepare,
        runs=runs,
    )


def _models(config: SweepConfig) -> Iterator[RunPlan]:
    """Every model with every inference, as a run without split and seed."""
    names: dict[str, str] = {}
    for number, values in enumerate(config.models, start=1):
        table = f"table [[models]] number {number}"
        with placed(config.path, table):
            for model in _inferences(values, config.training):
                _claim(names, model.name, table)
                yield model


def _inferences(values: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[RunPlan]:
    several = _several(values, "inference")
    entry = validated(_ModelEntry, {k: v for k, v in values.items() if k != "inference"})
    if entry.family not in FAMILIES:
        near = get_close_matches(entry.family, FAMILIES, 1, cutoff=0.4)
        raise ConfigError(
            f"There is no family {entry.family!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FAMILIES)}.")
        )
    kind = FAMILIES[entry.family]
    for guide in several:
        given = {} if guide is None else {"inference": guide}
        settings = validated(kind.Config, entry.hyperparameters | given).model_dump(mode="json")
        parts = [entry.label or entry.family]
        if "inference" in settings and (entry.label is None or len(several) > 1):
            parts.append(settings["inference"])
        yield RunPlan(
            name="-".join(map(_slug, parts)),
            label=entry.label,
            family=entry.family,
            model=settings,
            combinations=entry.combinations or kind.default_combinations,
            training=_training({**shared, **entry.training}),
            split=None,
            seed=0,
        )


def _several(values: Mapping[str, Any], name: str) -> list[Any]:
    """Values of a setting that may be a list of them."""
    found = values.get(name)
    if found == []:
        raise ConfigError(f"The list {name} is empty, so there is nothing to run: fill it.")
    return found if isinstance(found, list) else [found]


def _training(values: Mapping[str, Any]) -> dict[str, Any]:
    if "seed" in values:
        raise ConfigError("Training takes its seed from the list seeds: leave 'seed' out here.")
    return validated(TrainingConfig, dict(values)).model_dump(mode="json")


def _splits(config: SweepConfig) -> Iterator[tuple[str, SplitConfig | None]]:
    """Every split with every fraction, under its name; the screen's own where none is asked for."""
    if not config.splits and config.reader.get("split_key"):
        yield "own-split", None
        return
    names: dict[str, str] = {}
    for number, values in enumerate(config.splits or [{}], start=1):
        table = f"table [[splits]] number {number}"
        with placed(config.path, table):
            if config.seed_splits and "seed" in values:
                raise ConfigError("With seed_splits a split has its run's seed: leave 'seed' out.")
            recipe = {k: v for k, v in values.items() if k not in ("label", "fraction")}
            for fraction in _several(values, "fraction"):
                given = {} if fraction is None else {"fraction": fraction}
                split = validated(SplitConfig, recipe | given)
                name = _slug(str(values.get("label", _SPLIT_SLUGS.get(split.kind, split.kind))))
                if split.kind != "random":
                    name += f"-{split.fraction:g}"
                _claim(names, name, table)
                yield name, split


def _seeded(split: SplitConfig, seed: int, config: SweepConfig) -> dict[str, Any]:
    recipe = split.model_dump(mode="json")
    return recipe | {"seed": seed} if config.seed_splits else recipe


def _claim(names: dict[str, str], name: str, table: str) -> None:
    if name in names:
        raise ConfigError(
            f"Its runs would have the name {name!r} of those of {names[name]}: give it another "
            "with label."
        )
    names[name] = "this table" if table in names.values() else table


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "model"


def _reader(config: SweepConfig) -> dict[str, Any]:
    with placed(config.path, "[reader]"):
        if "split_key" in config.reader and config.splits:
            raise ConfigError(
                "split_key asks for the screen's own split and [[splits]] for others: leave out "
                "one of them."
            )
        validated(ReaderOptions, {"perturbation_key": "recognised", **config.reader})
    return config.reader


def _simulation(config: SweepConfig) -> dict[str, Any] | None:
    if config.simulation is None:
        return None
    settings = dict(config.simulation)
    kind = settings.pop("kind", "counts")
    with placed(config.path, "[simulation]"):
        if not isinstance(kind, str) or kind not in SIMULATIONS:
            raise ConfigError(f"kind is {kind!r}: use 'counts' or 'gaussian'.")
        return {"kind": kind} | validated(SIMULATIONS[kind], settings).model_dump(mode="json")


def _evaluation(config: SweepConfig) -> dict[str, Any]:
    with placed(config.path, "[evaluation]"):
        settings = validated(EvaluationConfig, config.evaluation).model_dump(mode="json")
        if settings["pathways"] is not None:
            path = config.beside(settings["pathways"])
            if not path.is_file():
                raise ConfigError(f"There is no file {path}: mend the path of 'pathways'.")
            try:
                read_gmt(path)
            except ScreenError as error:
                raise ConfigError(str(error)) from None
            settings["pathways"] = str(path)
    return settings
