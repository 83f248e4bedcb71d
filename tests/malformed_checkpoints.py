"""Checkpoint folders that cannot be used, each made from a good one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Damage = Callable[[Path], Path]


def _removed(name: str) -> Damage:
    def damage(run: Path) -> Path:
        (run / name).unlink()
        return run

    return damage


def _replaced(name: str, content: bytes) -> Damage:
    def damage(run: Path) -> Path:
        (run / name).write_bytes(content)
        return run

    return damage


def _truncated(name: str) -> Damage:
    def damage(run: Path) -> Path:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) // 2])
        return run

    return damage


def _flipped(name: str) -> Damage:
    def damage(run: Path) -> Path:
        content = bytearray((run / name).read_bytes())
        content[-7] ^= 0x10
        (run / name).write_bytes(content)
        return run

    return damage


def _edited(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(run: Path) -> Path:
        record = json.loads((run / "config.json").read_text())
        change(record)
        (run / "config.json").write_text(json.dumps(record))
        return run

    return damage


def _foreign_weights(run: Path) -> Path:
    save_file({"weight": torch.zeros(2, 2)}, run / "weights.safetensors")
    return run


def _repacked_weights(run: Path) -> Path:
    save_file(load_file(run / "weights.safetensors"), run / "weights.safetensors")
    return run


def _emptied(run: Path) -> Path:
    shutil.rmtree(run)
    run.mkdir()
    return run


MALFORMED_CHECKPOINTS: dict[str, Damage] = {
    "missing-folder": lambda run: run / "nothing",
    "a-file": lambda run: run / "config.json",
    "empty-folder": _emptied,
    "no-config": _removed("config.json"),
    "empty-config": _replaced("config.json", b""),
    "config-not-json": _replaced("config.json", b"{'format': 1}"),
    "config-a-list": _replaced("config.json", b"[]"),
    "config-not-text": _replaced("config.json", b"\xff\xfe\x00"),
    "config-truncated": _truncated("config.json"),
    "other-format": _edited(lambda record: record.update(format="other")),
    "other-version": _edited(lambda record: record.update(format_version=99)),
    "other-family": _edited(lambda record: record.update(family="other")),
    "no-genes": _edited(lambda record: record.pop("genes")),
    "no-perturbations": _edited(lambda record: record.pop("perturbations")),
    "extra-key": _edited(lambda record: record.update(surprise=1)),
    "edited-by-hand": _edited(lambda record: record.update(title="Better")),
    "impossible-setting": _edited(lambda record: record["model"].update(n_latent=-1)),
    "no-weights": _removed("weights.safetensors"),
    "empty-weights": _replaced("weights.safetensors", b""),
    "weights-truncated": _truncated("weights.safetensors"),
    "weights-flipped": _flipped("weights.safetensors"),
    "weights-foreign": _foreign_weights,
    "weights-repacked": _repacked_weights,
    "weights-pickled": _replaced("weights.safetensors", b"\x80\x04N."),
    "no-split": _removed("split.safetensors"),
    "split-flipped": _flipped("split.safetensors"),
}
