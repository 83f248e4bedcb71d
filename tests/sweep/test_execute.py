"""One run of a sweep: brought to its end from wherever it stands, and never done twice."""

from __future__ import annotations

import fcntl
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sams_core.analysis.comparison import read_evaluation
from sams_core.api import load_model
from sams_core.errors import CheckpointError, ConfigError, ScreenError
from sams_core.perturbation_model import PerturbationModel
from sams_core.sweep import execute as executing
from sams_core.sweep.execute import execute
from sams_core.sweep.folder import State, check_runs, read_plan, state_of
from sams_core.sweep.plan import SweepPlan
from sams_core.sweep.run import prepared
from sams_core.training.callbacks import Keeper
from tests.support.sweeps import CPA, TINY, write
from tests.training.test_resume import InterruptedRunError

NAME = "sams_vae-correlated--random--seed0"


def run(folder: Path, plan: SweepPlan) -> tuple[dict[str, Any], list[str]]:
    steps: list[str] = []
    return execute(str(folder), plan.model_dump(mode="json"), steps.append), steps


def again(folder: Path, text: str) -> SweepPlan:
    """The plan of an edited configuration."""
    return prepared(write(folder.parent / "edited.toml", text), folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepPlan]:
    folder = tmp_path_factory.mktemp("finished") / "sweep"
    plan = prepared(write(folder.parent / "sweep.toml"), folder)
    outcome, steps = run(folder, plan)
    assert (outcome["state"], outcome["error"]) == ("done", None)
    assert steps == ["training", "evaluating"]
    return folder, plan


@pytest.fixture
def copy(finished: tuple[Path, SweepPlan], tmp_path: Path) -> tuple[Path, SweepPlan]:
    return shutil.copytree(finished[0], tmp_path / "sweep"), finished[1]


def times(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in (folder / "runs").rglob("*")
    }


def weights(folder: Path) -> torch.Tensor:
    state = load_model(folder / "runs" / NAME).module.state_dict()
    return torch.cat([value.double().ravel() for value in state.values()])


def test_the_run_is_what_was_planned(finished: tuple[Path, SweepPlan]) -> None:
    folder, plan = finished
    record = load_model(folder / "runs" / NAME).record
    (planned,) = plan.runs
    assert (record.family, record.model, record.training) == (
        planned.family,
        planned.model,
        planned.training,
    )
    assert record.split == planned.split
    assert (record.simulated, record.title) == (True, "Simulated screen")
    assert read_evaluation(folder / "runs" / NAME)["settings"] == plan.evaluation


def test_the_plan_is_read_as_it_was_written(finished: tuple[Path, SweepPlan]) -> None:
    assert read_plan(finished[0]) == finished[1]
    recorded = json.loads((finished[0] / "sweep.json").read_text())
    assert len(recorded["runs"][0]["digest"]) == 64


def test_a_finished_run_is_not_touched(copy: tuple[Path, SweepPlan]) -> None:
    folder, plan = copy
    before = times(folder)
    outcome, steps = run(folder, plan)
    assert (outcome["state"], steps) == ("done", [])
    assert times(folder) == before


@pytest.mark.parametrize("stop_at", [1, 15])
def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(
    stop_at: int,
    finished: tuple[Path, SweepPlan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, plan = tmp_path / "sweep", finished[1]
    folder.mkdir()
    shutil.copy(finished[0] / "screen.h5ad", folder)
    original = Keeper.on_train_batch_end

    def stop(self: Keeper, trainer: Any, module: Any, *args: Any) -> None:
        original(self, trainer, module, *args)
        if trainer.global_step == stop_at:
            raise InterruptedRunError

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_train_batch_end", stop)
        outcome, _ = run(folder, plan)
    assert outcome["state"] == "failed"
    assert state_of(folder, plan.runs[0], plan) == State.UNFINISHED
    outcome, steps = run(folder, plan)
    assert (outcome["state"], steps) == ("done", ["training", "evaluating"])
    assert (weights(folder) - weights(finished[0])).abs().max() <= 1e-6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda place: (place / "evaluation.json").unlink(),
        lambda place: (place / "evaluation.json").write_text("{"),
        lambda place: change(place / "evaluation.json", checkpoint="another"),
        lambda place: change(place / "evaluation.json", weights="another"),
    ],
    ids=["missing", "damaged", "of-another-checkpoint", "of-other-weights"],
)
def test_an_evaluation_that_does_not_belong_is_made_again_without_training(
    spoil: Callable[[Path], None], copy: tuple[Path, SweepPlan]
) -> None:
    folder, plan = copy
    whole = read_evaluation(folder / "runs" / NAME)["scores"]
    spoil(folder / "runs" / NAME)
    assert run(folder, plan)[1] == ["evaluating"]
    assert read_evaluation(folder / "runs" / NAME)["scores"] == whole


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_edited_evaluation_settings_evaluate_again_without_training(
    copy: tuple[Path, SweepPlan],
) -> None:
    plan = again(copy[0], TINY.replace("iwelbo_particles = 2", "iwelbo_particles = 3"))
    assert run(copy[0], plan)[1] == ["evaluating"]
    settings = read_evaluation(copy[0] / "runs" / NAME)["settings"]
    assert settings["iwelbo_particles"] == 3


def test_preparing_may_be_asked_for_later(
    copy: tuple[Path, SweepPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = again(copy[0], "prepare = true\n" + TINY)
    called: list[Path] = []
    monkeypatch.setattr(executing, "prepare", lambda folder, screen: called.append(folder))
    assert run(copy[0], plan)[1] == ["preparing", "evaluating"]
    assert called == [copy[0] / "runs" / NAME]


def test_added_runs_go_on(copy: tuple[Path, SweepPlan]) -> None:
    plan = again(copy[0], "seeds = [0, 1]\n" + TINY + CPA)
    states = [state_of(copy[0], run, plan) for run in plan.runs]
    assert states == [State.DONE, State.MISSING, State.MISSING, State.MISSING]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_steps = 20", "max_steps = 21", "begun with max_steps = 20, .* with 21"),
        ("n_latent = 3\nn_hidden", "n_latent = 4\nn_hidden", "begun with n_latent = 3, .* with 4"),
        (
            "n_hidden = 6",
            'n_hidden = 6\ncombinations = "own"',
            "begun with combinations = sum, .* own",
        ),
        (
            "[evaluation]",
            "[[splits]]\ntest = 0.3\n[evaluation]",
            "begun with split test = 0.2, .* with 0.3",
        ),
    ],
)
def test_runs_keep_the_settings_that_they_were_begun_with(
    old: str, new: str, words: str, copy: tuple[Path, SweepPlan]
) -> None:
    before = times(copy[0]), (copy[0] / "sweep.json").read_bytes()
    with pytest.raises(ConfigError, match=f"{NAME} was {words}") as caught:
        again(copy[0], TINY.replace(old, new))
    assert f"remove {copy[0] / 'runs' / NAME}" in str(caught.value)
    assert (times(copy[0]), (copy[0] / "sweep.json").read_bytes()) == before
    shutil.rmtree(copy[0] / "runs" / NAME)
    again(copy[0], TINY.replace(old, new))


def test_another_screen_is_refused(copy: tuple[Path, SweepPlan]) -> None:
    with pytest.raises(ConfigError, match="begun with another screen"):
        again(copy[0], TINY.replace("n_genes = 20", "n_genes = 21"))
    with pytest.raises(ConfigError, match="trained on other cells"):
        check_runs(copy[0], copy[1].model_copy(update={"fingerprint": "another"}))


def test_a_worker_that_sees_other_cells_refuses(tmp_path: Path, finished: Any) -> None:
    shutil.copy(finished[0] / "screen.h5ad", tmp_path)
    plan = finished[1].model_copy(update={"fingerprint": "another"})
    assert "sees other cells" in run(tmp_path, plan)[0]["error"]


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path, finished: Any) -> None:
    outcome, _ = run(tmp_path / "nowhere", finished[1])
    assert "does not see" in outcome["error"]
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "notes.toml", "")
    with pytest.raises(CheckpointError, match="is not a sweep: choose another folder"):
        prepared(write(tmp_path / "sweep.toml"), tmp_path)


@pytest.mark.parametrize("content", ["{}", "[", '{"format": "sams_core.sweep", "runs": 3}'])
def test_a_damaged_plan_is_one_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"sweep\.json"):
        read_plan(tmp_path)


def test_an_impossible_split_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    text = TINY.replace("n_doubles = 3", "") + '[[splits]]\nkind = "ood_combinations"\n'
    with pytest.raises(ConfigError, match="no combinations"):
        prepared(write(tmp_path / "sweep.toml", text), tmp_path / "sweep")
    assert not (tmp_path / "sweep" / "runs").exists()


def test_a_missing_screen_leaves_nothing_behind(tmp_path: Path) -> None:
    text = 'screen = "no.h5ad"\n' + CPA
    with pytest.raises(ScreenError, match=r"no\.h5ad"):
        prepared(write(tmp_path / "sweep.toml", text), tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_failures_are_a_sentence_and_what_is_unexpected_is_kept(
    tmp_path: Path, finished: tuple[Path, SweepPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(finished[0] / "screen.h5ad", tmp_path)

    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("of a\nlibrary.")

    monkeypatch.setattr(PerturbationModel, "train", broken)
    log = tmp_path / "logs" / f"{NAME}.txt"
    outcome, _ = run(tmp_path, finished[1])
    assert outcome["error"] == f"ZeroDivisionError: of a library (more in {log})."
    assert "in broken" in log.read_text()


def test_a_diverging_run_says_what_to_change(tmp_path: Path, finished: Any) -> None:
    shutil.copy(finished[0] / "screen.h5ad", tmp_path)
    plan = finished[1]
    wild = plan.runs[0].training | {"learning_rate": 1e30, "gradient_clip": 0.0}
    plan = plan.model_copy(update={"runs": [plan.runs[0].model_copy(update={"training": wild})]})
    outcome, _ = run(tmp_path, plan)
    assert outcome["state"] == "failed"
    assert "learning" in outcome["error"]
    assert "\n" not in outcome["error"]


def test_a_run_waits_while_another_process_is_at_it(copy: tuple[Path, SweepPlan]) -> None:
    folder, plan = copy
    (folder / ".locks").mkdir(exist_ok=True)
    ended = threading.Event()

    def in_thread() -> None:
        run(folder, plan)
        ended.set()

    with (folder / ".locks" / NAME).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=in_thread)
        thread.start()
        assert not ended.wait(0.5)
    assert ended.wait(20)
    thread.join()


def test_planning_reads_nothing_of_a_run_but_its_settings(copy: tuple[Path, SweepPlan]) -> None:
    """A damaged checkpoint is that run's failure, not the sweep's."""
    (copy[0] / "runs" / NAME / "config.json").write_text("{")
    plan = again(copy[0], TINY)
    outcome, _ = run(copy[0], plan)
    assert "config.json is not valid JSON" in outcome["error"]
