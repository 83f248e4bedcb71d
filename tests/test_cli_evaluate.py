"""`evaluate`: what it prints, and how it refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from sams_core.analysis.calibration import calibrate
from sams_core.analysis.score_names import SCORES
from sams_core.api import FAMILIES
from sams_core.cli import build
from sams_core.cli.evaluate import EVALUATION_FLAGS
from sams_core.cli.evaluation_report import (
    Scores,
    calibration_table,
    iwelbo_sentence,
    sentences,
    tables,
    verdict,
)
from sams_core.cli.flags import flag_of
from sams_core.data.reading import read_screen
from sams_core.data.splits import SplitConfig
from tests.support.server import ROOT
from tests.support.tiny import tiny_screen

QUICK = ("--iwelbo-particles", "5", "--ate-particles", "100", "--replicates", "39")


def run(*arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(build(words), words)


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    tiny_screen(n_doubles=6, cells_per_perturbation=40).to_anndata().write_h5ad(
        folder / "screen.h5ad"
    )
    screen = read_screen(folder / "screen.h5ad", perturbation_key="perturbation")
    split = SplitConfig(kind="ood_combinations")
    model = FAMILIES["sams_vae"](screen, split=split, n_latent=3, n_hidden=6)
    model.train(
        out=folder / "run", max_steps=20, validation_every=10, batch_size=64, progress=False
    )
    return folder / "run"


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "copy")


def test_prints_scores_beside_baselines_and_the_next_command(copy: Path) -> None:
    result = run("evaluate", copy, *QUICK)
    assert result.exit_code == 0, result.output
    shown = result.stdout
    found = json.loads((copy / "evaluation.json").read_text())
    for words in (
        "Predictive check ...",
        "(simulated screen)",
        f"test cells {found['iwelbo']['test']:,.2f}",
        "additive",
        "technical duplicate",
        "never seen",
        "Every score, all conditions",
        "all 30 genes",
        "best baseline",
        "Against the known mask",
        "Calibration of the mask",
        "paired with the true ones",
        "principal components",
        "compare",
    ):
        assert words in shown, words
    scores = Scores(found["scores"])
    (line,) = (line for line in shown.splitlines() if line.startswith("  ridge bilinear"))
    values = [f"{value:.3f}" for scope in scores.scopes
              if (value := scores("ridge_bilinear", scope, "pearson")) is not None]  # fmt: skip
    assert re.findall(r"-?\d\.\d{3}", line) == values


def test_every_setting_is_a_flag_and_help_needs_no_torch() -> None:
    probe = (
        "import sys; from sams_core.cli import main\n"
        "try: main(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "print('torch:', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert "torch: False" in done.stdout
    for name in EVALUATION_FLAGS.config.model_fields:
        assert flag_of(name) in done.stdout


def test_what_cannot_be_evaluated_is_one_sentence(copy: Path, tmp_path: Path) -> None:
    assert "--iwelbo-particles" in refused(run("evaluate", copy, "--iwelbo-particles", "0"))
    assert "replicates = 5" in refused(run("evaluate", copy, "--replicates", "5"))
    assert "no.gmt" in refused(run("evaluate", copy, "--pathways", "no.gmt"))
    assert "no folder" in refused(run("evaluate", tmp_path / "none"))
    (copy / "source.json").unlink()
    assert "--screen" in refused(run("evaluate", copy))
    assert not (copy / "evaluation.json").exists()


def test_gene_sets_and_a_moved_screen(copy: Path, tmp_path: Path) -> None:
    (copy / "source.json").unlink()
    moved = tmp_path / "moved.h5ad"
    tiny_screen(n_doubles=6, cells_per_perturbation=40).to_anndata().write_h5ad(moved)
    sets = tmp_path / "sets.gmt"
    sets.write_text("one\t\tP001\tP002\tP003\ntwo\t\tP004\tP005\tP006\n")
    result = run("evaluate", copy, "--screen", moved, "--pathways", sets, *QUICK)
    assert result.exit_code == 0, result.output
    found = json.loads((copy / "evaluation.json").read_text())
    assert found["settings"]["pathways"] == str(sets)
    assert found["pathways"] is None  # three perturbations are too few for five folds
    assert "No pathway accuracy" in result.stdout


Values = dict[str, float | None]


def rows(scores: dict[str, Values], n: dict[str, int]) -> list[dict[str, Any]]:
    """Rows of one metric, ``pearson``, and of ``rmse``, by predictor and scope."""
    kinds = {"model": "model", "technical_duplicate": "ceiling"}
    return [
        {"predictor": predictor, "kind": kinds.get(predictor, "baseline"), "scope": scope,
         "metric": metric, "value": value, "n_conditions": n[scope]}
        for predictor, by_scope in scores.items()
        for scope, pearson in by_scope.items()
        for metric, value in (("pearson", pearson), ("rmse", 0.5))
    ]  # fmt: skip


COUNTS = {"all": 9, "seen": 9, "singles": 5, "combinations": 4}
EXAMPLE: dict[str, Values] = {
    "model": dict.fromkeys(COUNTS, 0.5),
    "no_change": dict.fromkeys(COUNTS, None),
    "matching_mean": {"all": 0.6, "seen": 0.6, "singles": 0.4, "combinations": 0.5},
    "additive": {"all": 0.6, "seen": 0.6, "singles": 0.3, "combinations": None},
    "technical_duplicate": dict.fromkeys(COUNTS, 0.9),
}


def test_a_model_below_a_baseline_is_said_to_be() -> None:
    scores = Scores(rows(EXAMPLE, COUNTS))
    assert scores.scopes == ["all", "singles", "combinations"]  # all were seen in training
    said = verdict(scores, "all")
    assert "0.500, below the best baseline, 0.600 (matching mean and additive)" in said
    assert said.endswith("ceiling is 0.900.")
    assert "0.500, above the best baseline, 0.400 (matching mean);" in verdict(scores, "singles")
    assert "0.500, the same as the best baseline" in verdict(scores, "combinations")


def test_a_model_without_a_score_says_so() -> None:
    without: dict[str, Values] = EXAMPLE | {"model": dict.fromkeys(COUNTS, None)}
    assert "undefined for the model" in verdict(Scores(rows(without, COUNTS)), "all")


def test_the_ceiling_competes_with_no_one_and_ties_share_the_star() -> None:
    scores = Scores(rows(EXAMPLE, COUNTS))
    assert scores.best("all", "pearson") == {"matching_mean", "additive"}
    assert scores.best("combinations", "pearson") == {"model", "matching_mean"}
    assert scores.text("additive", "all", "pearson") == "*0.600"
    assert scores.text("model", "all", "pearson") == "0.500"
    assert scores.text("no_change", "all", "pearson") == "–"
    assert scores.text("technical_duplicate", "all", "pearson") == "0.900"


def test_lower_is_better_where_it_is() -> None:
    lower = [row | {"value": 0.1 if row["predictor"] == "additive" else 0.5}
             for row in rows(EXAMPLE, COUNTS)]  # fmt: skip
    assert not SCORES["rmse"].higher_is_better
    assert Scores(lower).best("all", "rmse") == {"additive"}
    assert Scores(lower).best("all", "pearson") == {"model", "no_change", "matching_mean"}


def test_a_score_on_fewer_conditions_says_on_how_many() -> None:
    fewer = [row | ({"n_conditions": 3} if row["predictor"] == "additive" else {})
             for row in rows(EXAMPLE, COUNTS)]  # fmt: skip
    assert Scores(fewer).text("additive", "all", "pearson") == "*0.600 (n=3)"
    assert "(matching mean and additive on 3 of 9 conditions)" in verdict(Scores(fewer), "all")


def test_tables_show_unseen_combinations_where_there_are_any() -> None:
    counts = COUNTS | {"seen": 6, "unseen": 3, "unseen_combinations": 3}
    values: dict[str, Values] = {name: dict.fromkeys(counts, 0.5) for name in EXAMPLE}
    console = Console(width=160, record=True, file=io.StringIO())
    for table in tables(Scores(rows(values, counts)), 40):
        console.print(table)
    text = console.export_text()
    assert "Every score, never seen" in text
    assert "combinations never seen" not in text  # the same conditions as those never seen


def test_sentences_leave_out_what_is_not_known() -> None:
    bare: dict[str, Any] = {
        "scores": [], "mask": None, "pathways": None, "predictive_check": {"n": 0}, "settings": {}
    }  # fmt: skip
    assert list(sentences(bare)) == []
    assert calibration_table(bare) is None
    bounds = {"val": None, "test": -12.345, "test_seen": -12.345, "test_unseen": None}
    assert iwelbo_sentence(bounds) == "IWELBO, nats per cell: test cells -12.35."
    assert "conditions never seen -14.00" in iwelbo_sentence(bounds | {"test_unseen": -14.0})
    assert "no cells were held out" in iwelbo_sentence(dict.fromkeys(bounds, None))
    mask = {"share_open": 0.25, "f1": None, "precision": None, "recall": None, "mcc": None}
    assert list(sentences(bare | {"mask": mask})) == ["Mask entries open: 25.0%."]
    assert calibration_table(bare | {"mask": mask}) is None
    calibration = calibrate([[1], [1], [0]], [[0.95], [0.92], [0.01]]).summary()
    found = bare | {"mask": {"calibration": calibration}}
    (said,) = sentences(found)
    assert said.startswith("Of the 2 entries reported at 0.9 or above, 2 are real (100%;")
    table = calibration_table(found)
    assert table is not None
    assert list(table.columns[0].cells) == ["below 0.1", "0.9 to 0.99"]
    assert list(table.columns[2].cells) == ["0.010", "0.935"]
    means = {"accuracy_logistic": 0.81, "accuracy_forest": 0.72, "permutation": 0.33, "ate": 0.95}
    pathways: dict[str, Any] = {name: {"mean": mean, "sd": 0.1} for name, mean in means.items()}
    pathways |= {"majority": 0.44, "n_perturbations": 30, "n_pathways": 3}
    (said,) = sentences(bare | {"pathways": pathways})
    for number in ("0.81", "0.72", "0.33", "0.44", "0.95", "30", "3 pathways"):
        assert number in said
