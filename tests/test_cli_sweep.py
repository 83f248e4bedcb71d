"""`sweep` and `compare` on the command line."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from sams_core.analysis.stability import read_stability
from sams_core.cli.sweep import _Progress
from sams_core.sweep.execute import execute
from sams_core.sweep.outcomes import Outcome
from sams_core.sweep.run import prepared, sweep
from tests.support.server import ROOT
from tests.support.sweeps import CPA, TINY, write
from tests.test_cli import refused, run, succeeded

DONE: Outcome = {"state": "done", "error": None, "seconds": 12.0}
FAILED: Outcome = {"state": "failed", "error": "It broke: mend [it].", "seconds": 1.0}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of two models and two seeds."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    config = write(folder.parent / "sweep.toml", "seeds = [0, 1]\n" + TINY + CPA)
    plan = prepared(config, folder)
    for each in plan.runs:
        alone = plan.model_copy(update={"runs": [each]}).model_dump(mode="json")
        assert execute(str(folder), alone, lambda _step: None)["state"] == "done"
    sweep(config, folder)
    return folder


def pretend(outcomes: dict[str, Outcome]) -> Callable[..., dict[str, Outcome]]:
    """A sweep that ends as told."""

    def ending(*_args: Any, listener: _Progress, **_options: Any) -> dict[str, Outcome]:
        listener.begins({name: {"state": "pending"} for name in outcomes}, 1)
        for name, outcome in outcomes.items():
            listener.step(name, "training")
            listener.ends(name, outcome)
        return outcomes

    return ending


def test_a_sweep_in_which_all_goes_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sams_core.sweep.run.sweep", pretend({"a": DONE}))
    shown = succeeded(run("sweep", write(tmp_path / "c.toml"), "--out", tmp_path / "s"))
    for words in ("1 run.", "a: done in 12 s", "1 run, all finished", f"compare {tmp_path / 's'}"):
        assert words in shown


def test_failures_are_listed_with_the_cure_and_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sams_core.sweep.run.sweep", pretend({"a": DONE, "b": FAILED}))
    result = run("sweep", write(tmp_path / "c.toml"), "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "1 of 2 runs failed:\n  b: It broke: mend [it].\n" in result.stdout
    assert "try the failed ones again" in result.stdout
    assert result.stdout.count("a: done in 12 s") == 1


def test_on_a_terminal_a_bar_says_what_is_running() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=100)
    with _Progress(console) as progress:
        progress.begins({"a": DONE, "b": {"state": "pending"}, "c": {"state": "pending"}}, 2)
        progress.step("b", "training")
        progress.step("c", "evaluating")
        progress.bar.refresh()
        progress.ends("b", DONE)
    shown = screen.getvalue()
    for words in ("b: training", "c: evaluating", "1/3", "2/3", "3 runs, 1 of them finished"):
        assert words in shown


def test_a_cluster_without_workers_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    progress = _Progress(Console())
    progress.begins({"a": {"state": "pending"}}, 0)
    assert "no workers yet" in capsys.readouterr().out


def test_a_mistake_in_the_file_is_one_sentence(tmp_path: Path) -> None:
    config = write(tmp_path / "c.toml", TINY.replace("n_hidden", "n_hiden"))
    sentence = refused(run("sweep", config, "--out", tmp_path / "s"))
    assert sentence == (
        f"{config}, table [[models]] number 1: There is no setting 'n_hiden'; did you mean "
        "'n_hidden'?"
    )
    assert not (tmp_path / "s").exists()


def test_workers_are_for_this_machine(tmp_path: Path) -> None:
    options = ("--scheduler", "tcp://127.0.0.1:1", "--workers", "2")
    sentence = refused(run("sweep", write(tmp_path / "c.toml"), "--out", tmp_path / "s", *options))
    assert "--workers is for processes on this machine" in sentence


def test_results_have_every_figure_of_every_run(swept: Path) -> None:
    results = pd.read_csv(swept / "results.csv")
    assert results["run"].nunique() == 4
    assert {"iwelbo", "pearson", "pearson_mean", "mask_f1", "e_distance"} <= set(results["metric"])
    assert set(results["kind"]) == {"model", "baseline", "ceiling"}
    assert set(results["simulated"]) == {True}


def test_compare_shows_means_over_seeds_with_baselines_and_the_ceiling(swept: Path) -> None:
    shown = succeeded(run("compare", swept))
    assert "Simulated screen (simulated): random cells; all conditions" in shown
    rows = [line.split() for line in shown.splitlines()]
    (sams,) = (row for row in rows if row[:1] == ["SAMS-VAE"])
    results = pd.read_csv(swept / "results.csv")
    mine = results[(results["family"] == "sams_vae") & (results["predictor"] == "model")]
    scored = mine[(mine["metric"] == "iwelbo") & (mine["scope"] == "all")]["value"]
    assert len(scored) == 2
    assert f"{scored.mean():.2f}" in sams
    assert sams[-1] == "2"
    names = [row[0] for row in rows if row]
    assert names.index("CPA-VAE") < names.index("SAMS-VAE") < names.index("additive")
    assert names.index("additive") < names.index("technical")


def test_seeds_are_compared_in_a_column_and_by_entry(swept: Path) -> None:
    seeds = sorted((swept / "runs").glob("sams_vae*"))
    stored = [read_stability(run) for run in seeds]
    assert all(found is not None and found.seeds == (0, 1) for found in stored), "by the sweep"
    assert not list((swept / "runs").glob("cpa_vae*/stability.h5ad"))
    agreement = stored[0].agreement  # type: ignore[union-attr]
    table = succeeded(run("compare", swept, "--format", "markdown"))
    header, _, *rows = (line.split(" | ") for line in table.splitlines() if line[:1] == "|")
    place = header.index("seed agreement")
    (sams,) = (row for row in rows if row[0] == "| SAMS-VAE")
    assert sams[place] == f"{agreement:.2f}"
    assert all(row[place] == "–" for row in rows if row is not sams)
    assert "Seed agreement: mask entries that two seeds" in table
    assert "seed agreement" not in run("compare", *seeds, "--metric", "rmse").stdout
    only = run("compare", *seeds, "--metric", "seed_agreement").stdout
    assert f"{agreement:.2f}" in only


def test_stability_is_written_on_demand_and_old_runs_are_mended(
    swept: Path, tmp_path: Path
) -> None:
    runs = [
        shutil.copytree(place, tmp_path / place.name)
        for place in sorted((swept / "runs").glob("sams_vae*"))
    ]
    for place in runs:
        (place / "stability.h5ad").unlink()
    (runs[1] / "mask.h5ad").unlink()
    result = run("compare", *runs)
    assert "seed agreement" not in succeeded(result)
    assert f"No agreement of 2 seeds of SAMS-VAE: {runs[1]} has no file mask.h5ad" in result.stderr
    result = run("compare", *runs, "--stability")
    assert "seed agreement" in succeeded(result)
    assert f"stability.h5ad written beside each of {runs[0].name}, {runs[1].name}" in result.stderr
    for place in runs:
        found, swept_found = read_stability(place), read_stability(swept / "runs" / place.name)
        assert found is not None
        assert swept_found is not None
        pd.testing.assert_frame_equal(found.share, swept_found.share)
    assert "takes two evaluated runs" in run("compare", runs[0], "--stability").stderr


def test_compare_of_single_runs(swept: Path) -> None:
    runs = sorted((swept / "runs").glob("*seed0"))
    table = succeeded(run("compare", *runs, "--format", "markdown", "--metric", "rmse"))
    header, _, *rows = (line for line in table.splitlines() if line.startswith("|"))
    assert header == "| model | inference | RMSE | n |"
    assert any(row.startswith("| no change |  |") for row in rows)
    assert "±" not in "".join(rows)


def test_compare_writes_unrounded_figures(swept: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    shown = succeeded(run("compare", swept, "--format", "csv", "--out", out))
    assert f"Written to {out}" in shown
    table = pd.read_csv(out)
    assert {"table", "model", "inference", "kind", "n", "iwelbo", "iwelbo_sd"} <= set(table.columns)
    assert (table.loc[table["kind"] == "model", "n"] == 2).all()


def test_compare_names_the_nearest_metric(swept: Path) -> None:
    sentence = refused(run("compare", swept, "--metric", "pearsn"))
    assert "No run has the metric 'pearsn'; did you mean 'pearson'" in sentence


def test_compare_says_which_runs_are_left_out(swept: Path) -> None:
    spoiled = next((swept / "runs").glob("cpa*seed1")) / "evaluation.json"
    whole = spoiled.read_bytes()
    spoiled.unlink()
    try:
        result = run("compare", swept)
    finally:
        spoiled.write_bytes(whole)
    assert result.exit_code == 0
    assert f"Left out, being unfinished or damaged: {spoiled.parent.name}" in result.stderr


def test_compare_of_something_else_is_one_sentence(swept: Path, tmp_path: Path) -> None:
    assert "no folder" in refused(run("compare", tmp_path / "nowhere"))
    assert "config.json" in refused(run("compare", tmp_path))
    with_file = write(tmp_path / "sweep.json", "{}").parent
    assert "lists no runs" in refused(run("compare", with_file))


@pytest.mark.parametrize("verb", ["sweep", "compare"])
def test_help_is_quick(verb: str) -> None:
    probe = (
        "import sys; from sams_core.cli import main\n"
        f"try: main([{verb!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'anndata', 'distributed', 'pandas', 'lightning'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert "heavy: []" in done.stdout


def test_compare_does_not_load_torch(swept: Path) -> None:
    probe = (
        "import sys; from sams_core.cli import main\n"
        f"try: main(['compare', {str(swept)!r}])\n"
        "except SystemExit: pass\n"
        "print('torch:', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert "technical duplicate" in done.stdout
    assert "torch: False" in done.stdout
