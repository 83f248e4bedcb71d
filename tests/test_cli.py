"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from sams_core import __version__
from sams_core.api import SAMSVAE
from sams_core.cli import VERBS, build
from sams_core.cli.flags import Table, flag_of
from sams_core.cli.screens import READER
from sams_core.cli.simulate import SIMULATION
from sams_core.cli.train import MODEL, SPLIT, TRAINING
from tests.malformed import MALFORMED_SCREENS, Malformed
from tests.malformed_checkpoints import MALFORMED_CHECKPOINTS
from tests.support.server import ROOT

KEY = ("--perturbation-key", "perturbation")
TINY_MODEL = ("--n-latent", "3", "--n-hidden", "6", "--embedding-n-hidden", "4")
SHORT = ("--max-steps", "20", "--validation-every", "10", "--batch-size", "32")
SMALL_SCREEN = (
    *("--n-perturbations", "4", "--n-latent", "3", "--n-genes", "20", "--n-doubles", "1"),
    *("--cells-per-perturbation", "30", "--n-control", "40"),
)


def run(*arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(build(words), words)


def succeeded(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result) -> str:
    """The one sentence of a failure that its user can mend."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "sams_core", *map(str, arguments)]


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("screens") / "small.h5ad"
    succeeded(run("simulate", "--out", path, *SMALL_SCREEN))
    return path


@pytest.fixture(scope="module")
def trained(screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    succeeded(run("train", screen, "--out", folder, *KEY, *TINY_MODEL, *SHORT))
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "copy")


def test_help_lists_every_verb_and_loads_nothing_heavy() -> None:
    probe = (
        "import sys; from sams_core.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'anndata', 'scanpy', 'pandas', 'lightning'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert "heavy: []" in done.stdout
    assert all(verb in done.stdout for verb in VERBS)


def test_info_does_not_load_torch(screen: Path) -> None:
    probe = (
        "import sys; from sams_core.cli import main\n"
        f"try: main(['info', {str(screen)!r}, '--perturbation-key', 'perturbation'])\n"
        "except SystemExit: pass\n"
        "print('torch:', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert "torch: False" in done.stdout


def test_version() -> None:
    done = subprocess.run(command("--version"), capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == f"sams_core {__version__}"


def test_a_mistyped_verb_or_flag_is_refused_with_the_nearest() -> None:
    assert "Did you mean 'info'" in run("infos").output
    result = run("train", "x.h5ad", "--out", "y", "--n-latents", "3")
    assert result.exit_code == 2
    assert "--n-latent" in result.output


@pytest.mark.parametrize(
    "table", [READER, MODEL, TRAINING, SPLIT, SIMULATION], ids=lambda t: t.name
)
def test_every_setting_is_a_flag_with_help(table: Table) -> None:
    verb = "simulate" if table is SIMULATION else "train"
    shown = run(verb, "--help").output
    for name, parameter in table.parameters.items():
        assert re.search(rf"{flag_of(parameter)}\b", shown)
        assert len(table.describe(name)) > 5
        choices = get_args(table.config.model_fields[name].annotation)
        if get_origin(table.config.model_fields[name].annotation) is Literal:
            assert all(choice in table.describe(name) for choice in choices)


def test_no_flag_is_given_by_two_tables() -> None:
    names = [n for table in (READER, MODEL, TRAINING, SPLIT) for n in table.parameters.values()]
    assert len(names) == len(set(names))


def test_info(screen: Path) -> None:
    shown = succeeded(run("info", screen, *KEY))
    for words in ("190", "20", "1 condition", "simulated", "'control'", "50 cells"):
        assert words in shown


def test_info_takes_several_control_labels(screen: Path) -> None:
    shown = succeeded(run("info", screen, *KEY, "--control", "control", "--control", "P001"))
    assert "70 cells" in shown


def test_info_recognises_a_usual_column_and_asks_for_another(screen: Path, tmp_path: Path) -> None:
    assert "'perturbation', recognised by its name" in run("info", screen).stdout
    (no_key,) = (case for case in MALFORMED_SCREENS if case.name == "no-key")
    assert "--perturbation-key" in refused(run("info", no_key.write(tmp_path)))


@pytest.mark.parametrize("case", MALFORMED_SCREENS, ids=lambda case: case.name)
def test_a_malformed_screen(case: Malformed, tmp_path: Path) -> None:
    assert len(refused(run("info", case.write(tmp_path), *as_flags(case.options)))) > 20


def as_flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (flag_of(name), str(value))]


@pytest.mark.parametrize("name", MALFORMED_CHECKPOINTS)
def test_a_malformed_checkpoint(name: str, copy: Path) -> None:
    folder = MALFORMED_CHECKPOINTS[name](copy)
    assert str(folder) in refused(run("prepare", folder))


def test_train_reports_and_names_the_next_command(screen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    shown = succeeded(
        run("train", screen, "--out", folder, *KEY, *TINY_MODEL, *SHORT, "--title", "Mine")
    )
    for words in ("perturbations", "step 10/20", "20 steps", "ELBO", f"prepare {folder}"):
        assert words in shown
    model = SAMSVAE.load(folder)
    assert (model.record.title, model.config.n_latent) == ("Mine", 3)
    assert model.training_config.max_steps == 20


def test_a_toml_file_sets_what_no_flag_does(screen: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        "[model]\nn_latent = 7\nn_hidden = 6\n"
        "[training]\nmax_steps = 2\nbatch_size = 32\nlearning_rate = 0.01\n"
    )
    folder = tmp_path / "run"
    succeeded(run("train", screen, "--out", folder, *KEY, "--config", file, "--n-latent", "2"))
    model = SAMSVAE.load(folder)
    assert (model.config.n_latent, model.config.n_hidden) == (2, 6)
    assert model.training_config.learning_rate == 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[model]\nn_latnet = 7", "'n_latnet' under [model]; did you mean 'n_latent'"),
        ("[training]\nqqq = 7", "'qqq' under [training]; it may have"),
        ("[modle]\nn_latent = 7", "'modle' at its top"),
        ("n_latent = 7", "'n_latent' at its top"),
        ("[model\n", "is not valid TOML"),
        ("[model]\nn_latent = 'many'", "--n-latent"),
        ("[training]\nbatch_size = 1", "--batch-size"),
    ],
)
def test_a_bad_toml_file(text: str, words: str, screen: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    result = run(
        "train", screen, "--out", tmp_path / "run", *KEY, "--config", tmp_path / "run.toml"
    )
    assert words in refused(result)
    assert not (tmp_path / "run").exists()


def test_a_missing_toml_file(screen: Path, tmp_path: Path) -> None:
    result = run("train", screen, "--out", tmp_path / "run", *KEY, "--config", tmp_path / "no.toml")
    assert "no.toml cannot be read" in refused(result)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--n-latent", "0"), ("--mask-prior", "1.5"), ("--learning-rate", "-1"), ("--seed", "-1")],
)
def test_a_setting_out_of_range(flag: str, value: str, screen: Path, tmp_path: Path) -> None:
    result = run("train", screen, "--out", tmp_path / "run", *KEY, flag, value)
    assert flag.removeprefix("--").replace("-", "_") in refused(result).replace("-", "_")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--split-fraction", "0.5"), "--split-fraction = 0.5 cannot be used: a split of kind "),
        (("--split-kind", "data_efficiency", "--split-holdout", "0.3"), "--split-holdout = 0.3"),
        (("--split-val", "1.5"), "--split-val = 1.5"),
    ],
)
def test_a_split_s_setting_is_named_by_its_flag(
    flags: tuple[str, ...], words: str, screen: Path, tmp_path: Path
) -> None:
    result = run("train", screen, "--out", tmp_path / "run", *KEY, *flags)
    assert refused(result).startswith(words)
    assert not (tmp_path / "run").exists()


def test_train_does_not_write_over_a_run(screen: Path, trained: Path) -> None:
    assert "exists already" in refused(run("train", screen, "--out", trained, *KEY))


def test_resume_of_a_finished_run_says_so(screen: Path, trained: Path) -> None:
    shown = succeeded(run("train", screen, "--out", trained, *KEY, *SHORT, "--resume"))
    assert "trained to its end" in shown


def test_resume_does_not_change_settings(screen: Path, trained: Path) -> None:
    result = run("train", screen, "--out", trained, *KEY, "--max-steps", "21", "--resume")
    assert "begun with --max-steps 20" in refused(result)


@pytest.mark.parametrize("exists", [False, True])
def test_resume_of_nothing_starts(exists: bool, screen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if exists:
        folder.mkdir()
    succeeded(run("train", screen, "--out", folder, *KEY, *TINY_MODEL, *SHORT, "--resume"))
    assert not SAMSVAE.load(folder).unfinished


def test_numbers_of_a_file_may_be_written_as_text(screen: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[training]\nmax_steps = "20"\nseed = "3"\n')
    begin = ("train", screen, "--out", tmp_path / "run", *KEY, *TINY_MODEL, "--config", settings)
    succeeded(run(*begin))
    assert SAMSVAE.load(tmp_path / "run").record.seed == 3
    assert "trained to its end" in succeeded(run(*begin, "--resume"))


def test_interrupt_says_how_to_go_on_and_going_on_works(screen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    steps = ("--max-steps", "100", "--validation-every", "20", "--batch-size", "64")
    begun = command("train", screen, "--out", folder, *KEY, *TINY_MODEL, *steps)
    process = subprocess.Popen(
        begun, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step 20/"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.startswith("Error: Stopped.")
    assert errors.strip().endswith("--resume")
    assert "Traceback" not in errors
    assert SAMSVAE.load(folder).unfinished
    assert "not trained to its end" in succeeded(run("prepare", folder, "--n-particles", "2"))
    succeeded(run(*begun[3:], "--resume"))
    resumed = SAMSVAE.load(folder)
    whole = tmp_path / "whole"
    succeeded(run("train", screen, "--out", whole, *KEY, *TINY_MODEL, *steps))
    pd.testing.assert_frame_equal(
        resumed.mask_probabilities(), SAMSVAE.load(whole).mask_probabilities(), atol=1e-6
    )


def test_prepare_reports_and_names_the_next_command(copy: Path) -> None:
    shown = succeeded(run("prepare", copy, "--n-particles", "20"))
    for words in ("Effects", "Cells", "Pearson", f"make app RUNS={copy}"):
        assert words in shown
    assert (copy / "explorer" / "manifest.json").exists()


def test_prepare_asks_for_a_screen_that_was_moved(copy: Path, screen: Path, tmp_path: Path) -> None:
    (copy / "source.json").unlink()
    assert "--screen" in refused(run("prepare", copy))
    moved = shutil.copy(screen, tmp_path / "moved.h5ad")
    succeeded(run("prepare", copy, "--screen", moved, "--n-particles", "20"))


def test_too_little_memory_is_one_sentence(screen: Path, tmp_path: Path) -> None:
    for size in (("--n-hidden", str(10**12)), ("--n-latent", "10000", "--n-hidden", str(10**10))):
        result = run("train", screen, "--out", tmp_path / "run", *KEY, *size)
        assert "not enough memory" in refused(result)


def test_seeds_that_generators_cannot_take_are_refused(screen: Path, trained: Path) -> None:
    sentence = refused(run("train", screen, "--out", trained, *KEY, "--seed", str(2**32)))
    assert "less than 4294967296" in sentence
    assert run("prepare", trained, "--seed", str(2**32)).exit_code == 2


def test_simulate_writes_no_screen_that_cannot_be_read(tmp_path: Path) -> None:
    shallow = ("--depth", "1e-9", "--n-genes", "5")
    assert "no counts" in refused(run("simulate", "--out", tmp_path / "screen.h5ad", *shallow))
    assert not list(tmp_path.iterdir())


def test_simulate_does_not_write_over_a_file(screen: Path, tmp_path: Path) -> None:
    assert "exists already" in refused(run("simulate", "--out", screen))
    assert ".h5ad" in refused(run("simulate", "--out", tmp_path / "screen.csv"))


def test_a_folder_that_may_not_be_written(screen: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = refused(run("train", screen, "--out", tmp_path / "file" / "run", *KEY, *SHORT))
    assert "file" in sentence
