"""Evaluations are read back, and refused where they do not belong to their checkpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sams_core.analysis import comparison
from sams_core.analysis.calibration import calibrate
from sams_core.analysis.evaluation_files import MASKED_FAMILIES, told_apart
from sams_core.api import CPAVAE, FAMILIES, SAMSVAE
from sams_core.errors import CheckpointError
from sams_core.tensors import read_metadata
from tests.support.evaluations import evaluation
from tests.support.tiny import tiny_screen


def test_masked_families_are_those_with_a_mask() -> None:
    masked = {
        name
        for name, family in FAMILIES.items()
        if family(tiny_screen(), n_latent=3).module.has_mask
    }
    assert set(MASKED_FAMILIES) == masked


def save(
    folder: Path, kind: type[SAMSVAE] | type[CPAVAE] = SAMSVAE, **hyperparameters: Any
) -> Path:
    """A checkpoint with an evaluation made by hand."""
    model = kind(tiny_screen(), n_hidden=4, **{"n_latent": 3, **hyperparameters})
    model.save(folder)
    record = model.record
    made = evaluation(record.family, None)
    own = ("run", "folder", "model", "fingerprint", "hyperparameters")
    found = {name: value for name, value in made.items() if name not in own} | {
        "format": "sams_core.evaluation", "format_version": 1,
        "checkpoint": record.digest, "label": "x", "settings": {},
        "weights": read_metadata(folder / "weights.safetensors")["payload"],
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(found))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save(tmp_path / "run")


def change(run: Path, **fields: Any) -> None:
    path = run / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_reads_what_belongs_to_the_checkpoint(run: Path) -> None:
    found = comparison.read_evaluation(run)
    assert (found["run"], found["model"]) == ("run", "SAMS-VAE")
    assert found["fingerprint"] == tiny_screen().fingerprint()
    assert found["hyperparameters"]["n_latent"] == 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": "other"}, "not an evaluation"),
        ({"format_version": 2}, "not an evaluation"),
        ({"checkpoint": "other"}, "older than the config.json"),
        ({"weights": "other"}, "older than the weights.safetensors"),
        ({"scores": [{"predictor": "model"}]}, "bad field 'scores.0.kind'"),
        ({"iwelbo": None}, "bad field 'iwelbo'"),
        ({"pathways": {"majority": 0.5}}, "bad field 'pathways.accuracy_logistic'"),
        ({"mask": {"calibration": {"ece": 0.1}}}, "bad field 'mask.calibration.bins'"),
    ],
)
def test_refuses_what_does_not(fields: dict[str, Any], words: str, run: Path) -> None:
    change(run, **fields)
    with pytest.raises(CheckpointError, match=words) as caught:
        comparison.read_evaluation(run)
    assert f"python -m sams_core evaluate {run}" in str(caught.value)


@pytest.mark.parametrize("calibration", [None, calibrate([[1], [0]], [[0.95], [0.02]]).summary()])
def test_a_mask_may_come_without_calibration(calibration: dict[str, Any] | None, run: Path) -> None:
    known = {} if calibration is None else {"calibration": calibration}
    change(run, mask={"share_open": 0.5, "f1": 1.0, **known})
    table = comparison.tidy([comparison.read_evaluation(run)]).set_index("metric")["value"]
    assert table["mask_f1"] == 1.0
    if calibration is None:
        assert math.isnan(table["mask_ece"])
    else:
        assert table["mask_ece"] == pytest.approx((0.05 + 0.02) / 2, abs=1e-6)


def test_a_run_without_evaluation_says_what_to_do(run: Path) -> None:
    (run / "evaluation.json").unlink()
    with pytest.raises(CheckpointError, match="was not evaluated: run python -m sams_core evalu"):
        comparison.read_runs([run])


def test_a_damaged_checkpoint_is_one_sentence(run: Path) -> None:
    (run / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is missing or damaged"):
        comparison.read_evaluation(run)


def test_models_that_differ_in_a_hyperparameter_are_not_averaged(tmp_path: Path) -> None:
    runs = [save(tmp_path / "a"), save(tmp_path / "b", n_latent=4), save(tmp_path / "c", seed=9)]
    found, _ = comparison.read_runs([*runs, runs[0]])
    assert [each["model"] for each in found] == [
        "SAMS-VAE (n_latent 3)",
        "SAMS-VAE (n_latent 4)",
        "SAMS-VAE (n_latent 3)",
    ]


def test_models_of_other_screens_need_not_be_told_apart() -> None:
    one = evaluation() | {"hyperparameters": {"n_latent": 3}}
    other = one | {"fingerprint": "g", "hyperparameters": {"n_latent": 4}}
    assert [each["model"] for each in told_apart([one, other])] == [one["model"]] * 2


def test_figures_at_other_particles_are_not_averaged(tmp_path: Path) -> None:
    runs = [save(tmp_path / name) for name in ("a", "b")]
    for particles, run in zip((10, 100), runs, strict=True):
        change(run, settings={"iwelbo_particles": particles, "seed": particles})
    found, _ = comparison.read_runs(runs)
    assert [each["model"] for each in found] == [
        "SAMS-VAE (iwelbo_particles 10)",
        "SAMS-VAE (iwelbo_particles 100)",
    ]


def test_a_sweep_is_read_with_its_labels_and_without_what_is_not_finished(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "one")
    plan = {"runs": [{"name": "one", "label": "mine"}, {"name": "two", "label": None}]}
    (tmp_path / "sweep.json").write_text(json.dumps(plan))
    found, left_out = comparison.read_runs([tmp_path])
    assert [each["model"] for each in found] == ["mine"]
    assert left_out == ["two"]
    (tmp_path / "runs" / "one" / "evaluation.json").unlink()
    with pytest.raises(CheckpointError, match="None of the 2 runs is finished"):
        comparison.read_runs([tmp_path])
