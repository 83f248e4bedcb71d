"""Trains small models, alone or with other processes, and notes the loss of every step.

Run as ``python -m tests.support.training_together FOLDER DEVICES VARIANT ...``; every process
writes ``VARIANT-RANK.json``, its own losses, and the first one the final weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sams_core.api import FAMILIES
from sams_core.models import Minibatch
from sams_core.training import Hardware
from sams_core.training.lightning_module import TrainingModule
from tests.support.tiny import family_of, tiny_screen

SETTINGS: dict[str, Any] = {
    "max_steps": 40,
    "batch_size": 17,  # one process has 9 cells, the other 8
    "validation_every": 10,
    "effects_fraction": 0.3,
    "pruned_fraction": 0.2,
    "mask_penalty_fraction": 0.5,
    "mask_share": 0.5,
    "learning_rate": 1e-2,
    "gradient_clip": 5.0,
}
"""Of a training that goes through all its phases."""


def train_noting(folder: Path, devices: int, variant: str) -> None:
    """Train a model of one of ``tests.support.tiny.VARIANTS`` on the tiny screen."""
    losses: list[float] = []
    rank = 0
    original = TrainingModule.training_step

    def step(self: TrainingModule, batch: Minibatch, batch_idx: int) -> Tensor:
        nonlocal rank
        loss = original(self, batch, batch_idx)
        losses.append(float(loss.detach()))
        rank = self.global_rank
        return loss

    TrainingModule.training_step = step  # type: ignore[method-assign]
    try:
        family, chosen = family_of(variant)
        settings = {"n_latent": 4, "n_hidden": 6, **chosen}
        if family == "sams_vae":
            settings["embedding_n_hidden"] = 5
        model = FAMILIES[family](tiny_screen(), seed=3, **settings)
        model.train(hardware=Hardware("cpu", devices), progress=False, **SETTINGS)
    finally:
        TrainingModule.training_step = original  # type: ignore[method-assign]
    (folder / f"{variant}-{rank}.json").write_text(json.dumps(losses))
    if rank == 0:
        save_file(dict(model.module.state_dict()), folder / f"{variant}.safetensors")
        model.history.to_csv(folder / f"{variant}.csv", index=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[3:]:
        train_noting(Path(sys.argv[1]), int(sys.argv[2]), name)
