"""Reading what ``evaluate`` wrote, of single runs and of whole sweeps, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from sams_core.errors import CheckpointError
from sams_core.record import CONFIG, WEIGHTS, CheckpointConfig, read_config
from sams_core.storage import read_json

FORMAT, FORMAT_VERSION = "sams_core.evaluation", 1
EVALUATION = "evaluation.json"
SWEEP, RUNS = "sweep.json", "runs"

FAMILY_NAMES = {
    "sams_vae": "SAMS-VAE",
    "cpa_vae": "CPA-VAE",
    "svae_plus": "SVAE+",
    "conditional_vae": "Conditional VAE",
}
MASKED_FAMILIES = ("sams_vae", "svae_plus")
"""Families that say which latent dimensions a perturbation shifts."""

INFERENCE_NAMES = {
    None: "amortised mean-field",
    "mean_field": "amortised mean-field",
    "correlated_e": "correlated E",
    "correlated_z": "correlated z_basal",
    "correlated": "correlated z_basal and E",
}
"""What the paper calls the guides."""


class _Score(BaseModel):
    predictor: str
    kind: Literal["model", "baseline", "ceiling"]
    scope: str
    metric: str
    value: float | None
    n_conditions: int


class _Accuracy(BaseModel):
    mean: float
    sd: float


class _Pathways(BaseModel):
    model_config = ConfigDict(extra="allow")

    accuracy_logistic: _Accuracy
    accuracy_forest: _Accuracy
    permutation: _Accuracy
    majority: float
    ate: _Accuracy | None


class _Bin(BaseModel):
    lower: float
    upper: float
    n: int
    n_real: int
    mean_probability: float


class _Calibration(BaseModel):
    bins: list[_Bin]
    n_unpaired: int
    ece: float | None


class _Mask(BaseModel):
    share_open: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    calibration: _Calibration | None = None
    mcc: float | None = None


class _Evaluation(BaseModel):
    model_config = ConfigDict(extra="allow")

    checkpoint: str
    weights: str
    label: str
    family: str
    inference: str | None
    seed: int
    split: dict[str, Any] | None
    simulated: bool
    title: str
    settings: dict[str, Any]
    iwelbo: dict[str, float | None]
    scores: list[_Score]
    mask: _Mask | None
    pathways: _Pathways | None
    predictive_check: dict[str, float | None] | None
    seconds: dict[str, float | None]


def read_evaluation(folder: str | Path) -> dict[str, Any]:
    """Read a run's ``evaluation.json`` and check that it is of the checkpoint beside it.

    Parameters
    ----------
    folder
        A checkpoint that was evaluated.

    Returns
    -------
    dict
        The file's fields, and of the checkpoint: ``run`` (the folder's name), ``folder``,
        ``model`` (what the model is called in a table), ``hyperparameters`` (with the settings of
        training and evaluation) and ``fingerprint`` (of the screen).

    Raises
    ------
    CheckpointError
        When the checkpoint cannot be read, was not evaluated, or has changed since.
    """
    folder = Path(folder)
    config = read_config(folder)
    path = folder / EVALUATION
    again = f"run python -m sams_core evaluate {folder}"
    if not path.is_file():
        raise CheckpointError(f"{folder} was not evaluated: {again}.")
    found = read_json(path)
    if found.get("format") != FORMAT or found.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} is not an evaluation of version {FORMAT_VERSION} (its fields 'format' and "
            f"'format_version' say otherwise): {again} again."
        )
    try:
        evaluation = _Evaluation.model_validate(found).model_dump()
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise CheckpointError(
            f"{path} has a bad field {field!r} ({problem['msg']}): {again} again."
        ) from None
    for field, beside, name in (
        ("checkpoint", config.digest, CONFIG),
        ("weights", weights_digest(folder / WEIGHTS), WEIGHTS),
    ):
        if evaluation[field] != beside:
            raise CheckpointError(f"{path} is older than the {name} beside it: {again} again.")
    return evaluation | {
        "run": folder.resolve().name,
        "folder": str(folder),
        "model": FAMILY_NAMES.get(config.family, config.family),
        "hyperparameters": _hyperparameters(config, evaluation["settings"]),
        "fingerprint": config.data.fingerprint,
    }


def _hyperparameters(config: CheckpointConfig, evaluated: dict[str, Any]) -> dict[str, Any]:
    """Everything that keeps figures apart beside family, inference, split and seed."""
    settings = (
        config.hyperparameters
        | config.training_settings
        | {"combinations": config.combinations}
        | evaluated
    )
    return {k: v for k, v in settings.items() if k not in ("seed", "inference")}


def weights_digest(path: Path) -> str | None:
    """Digest that a file of weights states of its own contents.

    Raises
    ------
    CheckpointError
        When the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="np") as file:
            (header,) = (file.metadata() or {}).values()
            return json.loads(header).get("payload")
    except (SafetensorError, OSError, ValueError, AttributeError):
        raise CheckpointError(f"{path} is missing or damaged: restore it from a copy.") from None


def read_sweep_plan(folder: Path) -> dict[str, Any]:
    """Read the plan of a sweep's folder.

    Raises
    ------
    CheckpointError
        When the folder holds no plan, or a damaged one.
    """
    plan = read_json(folder / SWEEP)
    runs = plan.get("runs")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise CheckpointError(f"{folder / SWEEP} lists no runs: restore it from a copy.")
    return plan


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (folder / SWEEP).is_file()


def read_runs(folders: Iterable[str | Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the evaluations of runs and of sweeps.

    Parameters
    ----------
    folders
        Checkpoints and sweeps.

    Returns
    -------
    list of dict, list of str
        Evaluations as :func:`read_evaluation` gives them, models that differ only in a
        setting told apart by it in ``model``; and the names of a sweep's runs that are left
        out, being unfinished or damaged.

    Raises
    ------
    CheckpointError
        When a folder is neither, a run was not evaluated, or a sweep has finished none.
    """
    found: dict[Path, dict[str, Any]] = {}
    left_out: list[str] = []
    for folder in map(Path, folders):
        if not is_sweep(folder):
            found.setdefault(folder.resolve(), read_evaluation(folder))
            continue
        for run in read_sweep_plan(folder)["runs"]:
            place = folder / RUNS / str(run.get("name"))
            try:
                evaluation = read_evaluation(place)
            except CheckpointError:
                left_out.append(str(run.get("name")))
                continue
            evaluation["model"] = run.get("label") or evaluation["model"]
            found[place.resolve()] = evaluation
    if not found:
        raise CheckpointError(
            f"None of the {len(left_out)} runs is finished: let the sweep go on first."
        )
    return told_apart(list(found.values())), left_out


def told_apart(evaluations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name in ``model`` the settings in which models of one name and screen differ."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for each in evaluations:
        groups.setdefault(_kind_of(each), []).append(each)
    return [
        each | {"model": each["model"] + _difference(each, groups[_kind_of(each)])}
        for each in evaluations
    ]


def _kind_of(evaluation: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(evaluation[name] for name in ("fingerprint", "model", "family", "inference"))


def _difference(evaluation: Mapping[str, Any], group: Sequence[Mapping[str, Any]]) -> str:
    own = evaluation["hyperparameters"]
    varying = [
        f"{name} {value}"
        for name, value in own.items()
        if any(other["hyperparameters"].get(name) != value for other in group)
    ]
    return f" ({', '.join(varying)})" if varying else ""
