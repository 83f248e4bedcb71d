"""What the pages read of a checkpoint's ``metrics.json``, checked before they do."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sams_core.analysis.interval_calibration import interval_scale
from sams_core.errors import CheckpointError
from sams_core.storage import read_json

Scores = dict[str, float | None]


class _Agreement(BaseModel):
    model_config = ConfigDict(extra="allow")

    pearson: float | None
    pearson_top20: float | None
    ceiling: float | None
    ceiling_top20: float | None
    baselines: dict[str, Scores]


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="allow")

    splits: dict[str, int]
    heldout_ate: _Agreement
    elbo: Scores
    share_open: float | None
    n_latents_used: int


def check_metrics(path: Path) -> None:
    """Check that quality measures are as `prepare` writes them.

    Raises
    ------
    CheckpointError
        If a page could not read them; names the field.
    """
    metrics = read_json(path)
    try:
        _Metrics.model_validate(metrics)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise CheckpointError(_unsound(path, field)) from None
    try:
        scale = interval_scale(metrics)
        scale.effect.sd(1.0, 1.0, 1.0)
        str(scale.sentence)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise CheckpointError(_unsound(path, "intervals")) from None


def _unsound(path: Path, field: str) -> str:
    return (
        f"{path} is not as `prepare` writes it (its field '{field}'): run `python -m sams_core "
        f"prepare {path.parent.parent}` again."
    )
