"""A checkpoint as one file, and every way in which such a file can be wrong."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import anndata as ad
import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from sams_core import hdf5_checks
from sams_core.archive import Limits
from sams_core.bundle import check_checkpoint, read_bundle, write_bundle
from sams_core.checkpoint import checkpoint_digest
from sams_core.cli import build
from sams_core.errors import CheckpointError
from sams_core.hdf5_checks import hdf5_problem
from sams_core.record import read_config, write_config
from tests.malformed_checkpoints import MALFORMED_CHECKPOINTS
from tests.support.example_run import write_example_run, write_manifest

NOT_FOR_BUNDLES = {"missing-folder", "a-file"}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example_run(tmp_path_factory.mktemp("runs") / "mine", title="Mine")


@pytest.fixture
def run(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "mine"))


def zipped(folder: Path, top: str = "mine/") -> io.BytesIO:
    """Zip a folder as a file manager does, whatever is in it."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, f"{top}{path.relative_to(folder)}")
    return buffer


def bundle(folder: Path) -> io.BytesIO:
    buffer = io.BytesIO()
    write_bundle(folder, buffer)
    return buffer


def refusal(file: io.BytesIO, target: Path, limits: Limits | None = None) -> str:
    """The one sentence about a bad bundle; fails if anything of it is left."""
    before = set(target.parent.iterdir())
    with pytest.raises(CheckpointError) as caught:
        read_bundle(file, "mine.zip", target, *([limits] if limits else []))
    assert set(target.parent.iterdir()) == before
    said = str(caught.value)
    assert "mine.zip" in said
    assert "\n" not in said
    assert str(target.parent) not in said
    return said


def test_a_checkpoint_comes_back_as_it_was(run: Path, tmp_path: Path) -> None:
    read_bundle(bundle(run), "mine.zip", tmp_path / "back")
    assert checkpoint_digest(tmp_path / "back") == checkpoint_digest(run)
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    for name in names:
        assert (tmp_path / "back" / name).read_bytes() == (run / name).read_bytes()


def test_the_same_checkpoint_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "elsewhere" / "mine"))
    assert bundle(run).getvalue() == bundle(other).getvalue()


def test_only_a_checkpoints_own_files_are_packed_and_taken(run: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", ".DS_Store", "explorer/run.py", "training/state.safetensors"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    with ZipFile(bundle(run)) as file:
        names = {name.removeprefix("mine/") for name in file.namelist()}
    read_bundle(zipped(run), "mine.zip", tmp_path / "back")
    taken = {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*")}
    assert names == taken - {"explorer"}
    assert not {"notes.txt", ".DS_Store", "explorer/run.py"} & names
    assert "training" not in taken


@pytest.mark.parametrize("top", ["", "any name/"])
def test_the_folder_may_be_there_or_not(run: Path, tmp_path: Path, top: str) -> None:
    read_bundle(zipped(run, top), "mine.zip", tmp_path / "back")
    check_checkpoint(tmp_path / "back")


def test_a_macs_extra_files_do_no_harm(run: Path, tmp_path: Path) -> None:
    buffer = zipped(run)
    with ZipFile(buffer, "a") as file:
        file.writestr("__MACOSX/mine/config.json", b"\0")
        file.writestr("__MACOSX/mine/._config.json", b"\0")
    read_bundle(buffer, "mine.zip", tmp_path / "back")


def test_nothing_is_overwritten(run: Path) -> None:
    with pytest.raises(CheckpointError, match="exists already"):
        read_bundle(bundle(run), "mine.zip", run)
    check_checkpoint(run)


def nested(run: Path) -> io.BytesIO:
    return zipped(run, "a/b/mine/")


def two(run: Path) -> io.BytesIO:
    buffer = zipped(run)
    with ZipFile(buffer, "a") as file:
        file.write(run / "config.json", "other/config.json")
    return buffer


def other_folder(run: Path) -> io.BytesIO:
    shutil.rmtree(run)
    run.mkdir()
    (run / "notes.txt").write_text("x")
    return zipped(run)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nested, "in folders within folders"),
        (two, "holds more than one config.json"),
        (other_folder, "holds no config.json"),
        (lambda run: io.BytesIO(b"no zip"), "not a zip file"),
    ],
)
def test_an_archive_that_is_no_bundle_is_told(
    run: Path, tmp_path: Path, make: Callable[[Path], io.BytesIO], words: str
) -> None:
    assert words in refusal(make(run), tmp_path / "back")


def test_limits_hold(run: Path, tmp_path: Path) -> None:
    for limits, words in (
        (Limits(packed=1000), "larger than 0 MB"),
        (Limits(entries=3), "more than 3 files"),
        (Limits(unpacked=1000), "would unpack to"),
    ):
        assert words in refusal(bundle(run), tmp_path / "back", limits)


@pytest.mark.parametrize("case", sorted(MALFORMED_CHECKPOINTS.keys() - NOT_FOR_BUNDLES))
def test_a_damaged_checkpoint_is_refused_as_from_disk(run: Path, tmp_path: Path, case: str) -> None:
    damaged = MALFORMED_CHECKPOINTS[case](run)
    assert refusal(zipped(damaged), tmp_path / "back")
    with pytest.raises(CheckpointError):
        write_bundle(damaged, io.BytesIO())


def damage_table(run: Path) -> None:
    table = run / "explorer" / "masks.h5ad"
    table.write_bytes(table.read_bytes()[:-100])


def no_hdf5(run: Path) -> None:
    (run / "explorer" / "masks.h5ad").write_text("not HDF5")
    write_manifest(run)


def other_perturbations(run: Path) -> None:
    path = run / "explorer" / "masks.h5ad"
    table = ad.read_h5ad(path)
    table[1:].copy().write_h5ad(path)
    write_manifest(run)


def without_layer(run: Path) -> None:
    path = run / "explorer" / "effects.h5ad"
    table = ad.read_h5ad(path)
    del table.layers["fdr"]
    table.write_h5ad(path)
    write_manifest(run)


def in_table(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        with h5py.File(run / "explorer" / "masks.h5ad", "a") as file:
            change(file)
        write_manifest(run)

    return damage


def huge(file: h5py.File) -> None:
    file.create_dataset("obsm/huge", (2**20, 2**20), "f8", chunks=(64, 64), compression="gzip")


def cycle(file: h5py.File) -> None:
    file["uns/again"] = file["/"]


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2,), "f8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (2,))
    file.create_virtual_dataset("obsm/virtual", layout)


def bad_manifest(run: Path) -> None:
    path = run / "explorer" / "manifest.json"
    record: dict[str, Any] = json.loads(path.read_text())
    secret = run.parent / "secret.json"
    secret.write_text("{}")
    record["../../secret.json"] = hashlib.sha256(b"{}").hexdigest()
    path.write_text(json.dumps(record))


def huge_model(run: Path) -> None:
    config = read_config(run)
    large = config.model_copy(update={"model": {**config.model, "n_hidden": 10**6, "n_layers": 9}})
    write_config(run, large)


def unprepared(run: Path) -> None:
    shutil.rmtree(run / "explorer")


TABLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "unprepared": (unprepared, "no prepared tables"),
    "table cut short": (damage_table, "masks.h5ad of RUN is missing or damaged"),
    "table not HDF5": (no_hdf5, "masks.h5ad is not an HDF5 file"),
    "table of other perturbations": (other_perturbations, "perturbations are not those of config"),
    "table without a layer": (without_layer, "effects.h5ad is not a table of this checkpoint"),
    "manifest leads out": (bad_manifest, "does not list the tables"),
    "external link": (
        in_table(lambda file: file.__setitem__("uns/x", h5py.ExternalLink("/etc/hostname", "/"))),
        "links 'uns/x' to another place",
    ),
    "soft link": (
        in_table(lambda file: file.__setitem__("uns/x", h5py.SoftLink("/X"))),
        "links 'uns/x' to another place",
    ),
    "cycle": (in_table(cycle), "links 'uns/again'"),
    "virtual": (in_table(virtual), "links 'obsm/virtual'"),
    "external data": (
        in_table(
            lambda file: file.create_dataset(
                "obsm/x", (4,), "u1", external=[("/etc/hostname", 0, 4)]
            )
        ),
        "links 'obsm/x'",
    ),
    "huge array": (in_table(huge), "unpacks to more than 1.0 GiB"),
    "huge model": (huge_model, "weights.safetensors"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_shown_are_told_before_they_are_read(
    run: Path, tmp_path: Path, case: str
) -> None:
    damage, words = TABLES[case]
    damage(run)
    assert words in refusal(zipped(run), tmp_path / "back")


def test_texts_are_counted_at_their_length(tmp_path: Path) -> None:
    path = tmp_path / "texts.h5ad"
    with h5py.File(path, "w") as file:
        file["obs/long"] = np.array(["x" * 1000] * 300, dtype=object)
        file["uns/one"] = "y" * 5000
    assert hdf5_problem(path, 320_000) is None
    assert "unpacks to more than" in str(hdf5_problem(path, 300_000))
    assert hdf5_problem(path, 6_000, ["uns/one"]) is None


def test_many_objects_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.h5ad"
    with h5py.File(path, "w") as file:
        for number in range(12):
            file.create_group(f"uns/{number}")
    assert hdf5_problem(path, 100) is None
    monkeypatch.setattr(hdf5_checks, "MAX_OBJECTS", 10)
    assert "more than 10 arrays" in str(hdf5_problem(path, 100))


def test_the_command_writes_a_bundle_and_never_over_a_file(run: Path, tmp_path: Path) -> None:
    cli = CliRunner()
    app = build(["bundle"])
    made = cli.invoke(app, ["bundle", str(run)])
    assert made.exit_code == 0, made.output
    assert "mine.zip" in made.output
    with (tmp_path / "mine.zip").open("rb") as file:
        read_bundle(file, "mine.zip", tmp_path / "back")
    again = cli.invoke(app, ["bundle", str(run)])
    assert again.exit_code == 2
    assert "exists already" in again.output
    other = cli.invoke(app, ["bundle", str(run), "--out", str(tmp_path / "other.zip")])
    assert other.exit_code == 0
    assert (tmp_path / "other.zip").read_bytes() == (tmp_path / "mine.zip").read_bytes()


def test_the_command_refuses_a_run_that_is_not_prepared(run: Path, tmp_path: Path) -> None:
    unprepared(run)
    told = CliRunner().invoke(build(["bundle"]), ["bundle", str(run)])
    assert told.exit_code == 2
    assert "python -m sams_core prepare" in told.output
    assert not list(tmp_path.glob("*.zip"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("splits", ["train"]),
        ("heldout_ate", None),
        ("elbo", "high"),
        ("intervals", {"effect": 3}),
        ("intervals", {"effect": {"factor": "wide"}}),
    ],
)
def test_measures_that_no_page_could_read_are_told(run: Path, field: str, value: Any) -> None:
    path = run / "explorer" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    write_manifest(run)
    with pytest.raises(CheckpointError, match=f"its field '{field}'"):
        check_checkpoint(run)
