"""``import-reference`` on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import anndata as ad
import pytest
import torch

from sams_core.api import load_model
from tests.support.reference_files import ObservationNormalizationStatistics, write
from tests.test_cli import refused, run, succeeded

MODELS = {
    "sams_corr": "tiny.h5ad",
    "sams_bb_mf": "tiny.h5ad",
    "cpa": "tiny.h5ad",
    "cvae": "tiny.h5ad",
    "svae": "tiny_singles.h5ad",
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_imported_and_prepared(name: str, shared_fixtures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    screen = shared_fixtures / MODELS[name]
    shown = succeeded(
        run(
            "import-reference",
            shared_fixtures / f"{name}.ckpt",
            "--screen",
            screen,
            "--out",
            folder,
        )
    )
    for words in ("40 steps", "40 genes", "6 perturbations", "are those of the screen's split"):
        assert words in shown
    assert f"prepare {folder}" in shown
    model = load_model(folder)
    assert list(model.perturbation_names) == ["G1", "G2", "G3", "G4", "G5", "G6"]
    assert model.record.data.reader["split_key"] == "split"
    succeeded(run("prepare", folder, "--n-particles", "4", "--max-cells", "50"))
    assert (folder / "explorer" / "manifest.json").exists()


def altered(shared_fixtures: Path, path: Path, **obs: object) -> Path:
    adata = ad.read_h5ad(shared_fixtures / "tiny.h5ad")
    for name, values in obs.items():
        if values is None:
            del adata.obs[name]
        else:
            adata.obs[name] = values
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("split", [None, "fold 1"])
def test_a_screen_without_the_split(
    split: str | None, shared_fixtures: Path, tmp_path: Path
) -> None:
    screen = altered(shared_fixtures, tmp_path / "screen.h5ad", split=split)
    shown = succeeded(
        run(
            *("import-reference", shared_fixtures / "cpa.ckpt"),
            *("--screen", screen, "--out", tmp_path / "run"),
        )
    )
    assert "may be cells it was trained on" in shown
    assert "--split-key" in shown


def test_a_split_of_another_name(shared_fixtures: Path, tmp_path: Path) -> None:
    split = ad.read_h5ad(shared_fixtures / "tiny.h5ad").obs["split"]
    screen = altered(shared_fixtures, tmp_path / "screen.h5ad", split=None, fold=split)
    shown = succeeded(
        run(
            *("import-reference", shared_fixtures / "cpa.ckpt", "--split-key", "fold"),
            *("--screen", screen, "--out", tmp_path / "run"),
        )
    )
    assert "are those of the screen's split" in shown


def test_another_number_of_genes(shared_fixtures: Path, tmp_path: Path) -> None:
    screen = tmp_path / "fewer.h5ad"
    ad.read_h5ad(shared_fixtures / "tiny.h5ad")[:, :39].copy().write_h5ad(screen)
    result = run(
        *("import-reference", shared_fixtures / "cpa.ckpt"),
        *("--screen", screen, "--out", tmp_path / "run"),
    )
    assert "has 40 genes, but the screen has 39" in refused(result)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_written_over(shared_fixtures: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    result = run(
        *("import-reference", shared_fixtures / "cpa.ckpt"),
        *("--screen", shared_fixtures / "tiny.h5ad", "--out", tmp_path / "run"),
    )
    assert "exists already" in refused(result)


class Touch:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_file_writes_nothing(zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = {
        "state_dict": {"predictor.a": torch.zeros(1)},
        "hyper_parameters": {"config": ObservationNormalizationStatistics(torch.zeros(2))},
        "callbacks": Touch(mark),
    }
    path = write(tmp_path / "evil.ckpt", content, _use_new_zipfile_serialization=zipped)
    result = run(
        "import-reference", path, "--screen", tmp_path / "no.h5ad", "--out", tmp_path / "run"
    )
    sentence = refused(result)
    assert "'posix.system'" in sentence
    assert sorted(tmp_path.iterdir()) == [path]


def test_no_file(tmp_path: Path) -> None:
    result = run(
        *("import-reference", tmp_path / "no.ckpt"),
        *("--screen", tmp_path / "no.h5ad", "--out", tmp_path / "run"),
    )
    assert "no.ckpt" in refused(result)


def test_help_and_missing_options(tmp_path: Path) -> None:
    shown = succeeded(run("import-reference", "--help"))
    for flag in ("--screen", "--out", "--split-key", "--perturbation-key"):
        assert flag in shown
    assert run("import-reference", tmp_path / "a.ckpt").exit_code == 2
