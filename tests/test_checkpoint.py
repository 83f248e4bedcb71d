"""A checkpoint is read back whole, or refused in one sentence."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sams_core import checkpoint, record, storage
from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.errors import CheckpointError
from sams_core.tensors import pack
from sams_core.training.state import SafetensorsIO
from tests.support.tiny import tiny_screen

FILES = (record.CONFIG, record.WEIGHTS, record.SPLIT, record.HISTORY)


@pytest.fixture(scope="module")
def screen() -> Screen:
    return tiny_screen()


@pytest.fixture(scope="module")
def saved(screen: Screen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "run"
    model = SAMSVAE(screen, n_latent=3, n_hidden=6, embedding_n_hidden=4, title="Tiny")
    model.train(out=folder, progress=False, max_steps=4, validation_every=2, batch_size=32)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        SAMSVAE.load(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def same(a: SAMSVAE, b: SAMSVAE) -> bool:
    pairs = zip(a.module.state_dict().items(), b.module.state_dict().items(), strict=True)
    tensors = all(x == y and torch.equal(v, w) for (x, v), (y, w) in pairs)
    return tensors and a.record == b.record and bool((a.split == b.split).all())


def test_round_trip(saved: Path, screen: Screen, tmp_path: Path) -> None:
    model = SAMSVAE.load(saved, screen)
    assert model.record.title == "Tiny"
    assert model.record.simulated
    model.save(tmp_path / "copy")
    again = SAMSVAE.load(tmp_path / "copy", screen)
    assert same(model, again)
    pd.testing.assert_frame_equal(model.history, again.history)
    for kind in ("basal", "full"):
        np.testing.assert_array_equal(
            model.get_latent_representation(kind=kind),
            again.get_latent_representation(kind=kind),
        )
    assert model.digest == again.digest


def test_holds_only_text_and_safetensors(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == set(FILES)
    for path in saved.iterdir():
        assert not path.read_bytes().startswith((b"PK", b"\x80")), "a pickle or torch archive"


def test_digest_follows_weights_config_and_tables(folder: Path) -> None:
    model = SAMSVAE.load(folder)
    before = checkpoint.checkpoint_digest(folder)
    (folder / "explorer").mkdir()
    storage.write_json(folder / "explorer" / record.MANIFEST, {"masks.h5ad": "0"})
    with_tables = checkpoint.checkpoint_digest(folder)
    state = model.module.state_dict()
    state["log_concentration"] = state["log_concentration"] + 1
    checkpoint.write_weights(folder, model.record, state)
    assert len({before, with_tables, checkpoint.checkpoint_digest(folder)}) == 3


def test_will_not_write_over_another(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="exists already"):
        SAMSVAE.load(saved).save(saved)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def write(place: Callable[[Path], AbstractContextManager[Path]]) -> None:
        with place(tmp_path / "target") as temporary:
            inside = temporary / "half" if temporary.is_dir() else temporary
            inside.write_text("half")
            raise RuntimeError

    for place in (storage.new_folder, storage.replacing):
        with pytest.raises(RuntimeError):
            write(place)
    assert list(tmp_path.iterdir()) == []


def edit(folder: Path, change: Callable[[dict], object]) -> None:
    content = json.loads((folder / record.CONFIG).read_text())
    change(content)
    (folder / record.CONFIG).write_text(json.dumps(content))


def test_missing_folder(tmp_path: Path) -> None:
    assert "There is no folder" in refused(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "has no file config.json" in refused(tmp_path / "empty")


@pytest.mark.parametrize("name", FILES[:3])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(title="Other"), "changed after it was written"),
        (lambda r: r["model"].update(n_latent=5), "changed after it was written"),
        (lambda r: r.pop("digest"), "changed after it was written"),
        (lambda r: r.update(format="other"), "not a sams_core checkpoint"),
        (lambda r: r.update(format_version=99), "format_version 99"),
        (lambda r: r.update(model=7), "bad field 'model'"),
        (lambda r: r.update(genes="no list"), "genes"),
        (lambda r: r.pop("perturbations"), "perturbations"),
        (lambda r: r.update(extra=1), "extra"),
    ],
)
def test_edited_config(folder: Path, change: Callable[[dict], object], words: str) -> None:
    edit(folder, change)
    assert words in refused(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_config_that_is_no_json_object(folder: Path, content: bytes) -> None:
    (folder / record.CONFIG).write_bytes(content)
    assert record.CONFIG in refused(folder)


def test_weights_of_another_checkpoint(folder: Path, screen: Screen, tmp_path: Path) -> None:
    SAMSVAE(screen, n_latent=2).save(tmp_path / "other")
    for name in (record.WEIGHTS, record.SPLIT):
        shutil.copy(folder / name, tmp_path / "kept")
        shutil.copy(tmp_path / "other" / name, folder / name)
        assert "another checkpoint" in refused(folder)
        shutil.copy(tmp_path / "kept", folder / name)


def test_weights_that_do_not_fit(folder: Path) -> None:
    model = SAMSVAE.load(folder)
    state = model.module.state_dict()
    for name, value, words in (
        ("log_concentration", None, "misses 'log_concentration'"),
        ("log_mean", torch.zeros(3), "holds 'log_mean' with shape (3,)"),
        ("stranger", torch.zeros(3), "unknown tensor 'stranger'"),
    ):
        changed = {k: v for k, v in state.items() if k != name}
        if value is not None:
            changed[name] = value
        checkpoint.write_weights(folder, model.record, changed)
        assert words in refused(folder)


def test_foreign_safetensors(folder: Path) -> None:
    save_file({"x": torch.zeros(2)}, folder / record.WEIGHTS)
    assert "damaged" in refused(folder)


def test_history_that_is_no_table(folder: Path, saved: Path) -> None:
    (folder / record.HISTORY).write_bytes(b"\x00\xff")
    assert record.HISTORY in refused(folder)
    table = pd.read_csv(saved / record.HISTORY)
    table.drop(columns="seconds").to_csv(folder / record.HISTORY, index=False)
    assert "should have the columns step, split" in refused(folder)
    table.astype({"step": object}).replace({"step": {2: "two"}}).to_csv(
        folder / record.HISTORY, index=False
    )
    assert "holds text among its numbers" in refused(folder)


def test_another_family(folder: Path) -> None:
    changed = record.read_config(folder).model_copy(update={"family": "other_vae"})
    record.write_config(folder, changed)
    assert "family 'other_vae'" in refused(folder)


def test_another_screen(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="is not the one that this checkpoint was trained on"):
        SAMSVAE.load(folder, tiny_screen(seed=9))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(FILES), seed=st.integers(0, 2**32), cut=st.booleans())
def test_damage_is_told_or_harmless(
    saved: Path, tmp_path: Path, name: str, seed: int, cut: bool
) -> None:
    """Flipped bytes and truncation: one clear error, or an equal model."""
    folder = tmp_path / f"{name}-{seed}-{cut}"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    chance = random.Random(seed)
    content = bytearray((folder / name).read_bytes())
    if cut:
        content = content[: chance.randrange(len(content))]
    else:
        for _ in range(chance.choice([1, 1, 5])):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (folder / name).write_bytes(content)
    try:
        model = SAMSVAE.load(folder)
    except CheckpointError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert same(model, SAMSVAE.load(saved))
    assert "\n" not in sentence
    shutil.rmtree(folder)


def test_training_state_keeps_what_it_is_given(tmp_path: Path) -> None:
    state = {
        "global_step": 7,
        "loops": {"fit": {"ready": 3, "flags": [True, None, 1.5]}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.arange(3.0)}}, "betas": (0.9, 0.999)}],
        "best": float("-inf"),
    }
    SafetensorsIO().save_checkpoint(state, tmp_path / "state")
    back = SafetensorsIO().load_checkpoint(tmp_path / "state")
    assert back["optimizer_states"][0]["betas"] == (0.9, 0.999)
    average = back["optimizer_states"][0]["state"][0].pop("exp_avg")
    assert torch.equal(average, torch.arange(3.0))
    assert back["loops"] == state["loops"]
    assert back["best"] == state["best"]
    with pytest.raises(TypeError, match="holds a set"):
        SafetensorsIO().save_checkpoint({"global_step": 1, "bad": {1}}, tmp_path / "state")


def test_the_same_contents_are_the_same_bytes(tmp_path: Path) -> None:
    contents = {"b": torch.arange(3), "a": torch.zeros(2)}
    written = set()
    for name in "xyz":
        pack(tmp_path / name, contents, {letter: letter for letter in "fedcba"})
        written.add((tmp_path / name).read_bytes())
    assert len(written) == 1


def test_what_an_earlier_version_left_unsaid_is_what_it_did(screen: Screen, tmp_path: Path) -> None:
    """No table of E beside the network, and the ELBO from the first step to the last."""
    model = SAMSVAE(screen, n_latent=3, n_hidden=4, embedding_table=False)
    new = {"effects_fraction", "mask_share", "pruned_fraction", "embedding_learning_rate"}
    said = {name: value for name, value in model.record.training.items() if name not in new}
    hyperparameters = dict(model.record.model)
    del hyperparameters["embedding_table"]
    model.record = model.record.model_copy(
        update={"model": hyperparameters, "training": said | {"learning_rate": 0.5}}
    )
    model.save(tmp_path / "run")
    loaded = SAMSVAE.load(tmp_path / "run")
    assert loaded.module.state_dict().keys() == model.module.state_dict().keys()
    training = loaded.training_config
    assert (training.effects_fraction, training.mask_share, training.pruned_fraction) == (0, 0, 0)
    assert training.embedding_learning_rate == 0.5
