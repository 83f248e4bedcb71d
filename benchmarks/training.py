"""The training step, Lightning's loop around it, and what validation adds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.floors import flops, multiply, step_layers
from benchmarks.measure import Side, race
from benchmarks.plain import PlainSAMSVAE, loader
from benchmarks.report import Row
from benchmarks.screens import simulated
from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.data.minibatches import TrainingBatches
from sams_core.models import SAMSVAEModule
from sams_core.models.order import perturbation_rank
from sams_core.training.config import TrainingConfig
from sams_core.training.fit import Hardware, fit
from sams_core.training.lightning_module import TrainingModule
from sams_core.training.objective import minibatch_objective
from sams_core.training.schedule import begin_phase, bound_mask
from sams_core.training.state import step_generator

BATCH, N_PARTICLES = 512, 5
WITH_MASKS = {"effects_fraction": 0.0, "pruned_fraction": 0.0}
"""Masks are learned from the first step: the phase of training with the most to compute."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a training step."""

    n_perturbations: int
    n_latent: int
    n_hidden: int
    n_cells: int
    faster_than_plain: float
    of_floor: float

    def __str__(self) -> str:
        return f"T={self.n_perturbations} L={self.n_latent} H={self.n_hidden}"


SHAPES = (
    Shape(60, 100, 400, 5000, 2.0, 1.4),
    Shape(722, 200, 400, 10_000, 2.5, 1.5),
)
LIGHTNING_AT_MOST = 1.05
VALIDATION_AT_MOST = 3.0
VALIDATION_CELLS = 5000
"""As many as validation ever takes."""


def step_rows(quick: bool) -> list[Row]:
    """One training step at each shape: time, throughput and memory."""
    return [row for shape in SHAPES for row in _step_rows(shape, 3 if quick else 9)]


def _step_rows(shape: Shape, repeats: int) -> list[Row]:
    steps = 6
    done = race(
        {
            "ours": Side(our_steps, (shape, steps), at_work=True),
            "plain": Side(plain_steps, (shape, steps), at_work=True),
            "floor": Side(floor_steps, (shape, steps), at_work=True),
        },
        repeats=repeats,
    )
    ms = {name: 1e3 * side.median / steps for name, side in done.items()}
    rate = {name: BATCH / value * 1e3 for name, value in ms.items()}
    peak = {name: side.peak_mib for name, side in done.items()}
    name = f"Training step, {shape}"
    gflop = done["floor"].result / 1e9
    rows = [
        Row(
            name, "ms", ms["ours"], ms["plain"], ms["floor"], peak["ours"],
            faster_than_plain=shape.faster_than_plain, of_floor=shape.of_floor,
            note=f"{BATCH} cells, {N_PARTICLES} particles; its matrix products: {gflop:.1f} GFLOP",
        ),
        Row(f"{name}: throughput", "cells/s", rate["ours"], rate["plain"], rate["floor"]),
    ]  # fmt: skip
    if peak["ours"] is not None:
        rows.append(Row(f"{name}: peak memory", "MiB", peak["ours"], peak["plain"]))
    return rows


def our_steps(shape: Shape, steps: int) -> Callable[[], None]:
    """Steps of the library, from the screen's CSR to the parameters' update."""
    loop = BareLoop(*_module(shape), TrainingConfig(n_particles=N_PARTICLES, **WITH_MASKS))

    def run() -> None:
        for _ in range(steps):
            loop.step()

    return run


def plain_steps(shape: Shape, steps: int) -> Callable[[], None]:
    """Steps of the plain model, from dense tensors."""
    module, screen = _module(shape)
    assert isinstance(module, SAMSVAEModule)
    plain = PlainSAMSVAE.like(module)
    optimiser = torch.optim.Adam(plain.parameters(), lr=TrainingConfig().learning_rate)
    batches = endless(loader(screen, BATCH))

    def run() -> None:
        for _ in range(steps):
            counts, dosages, library_size = next(batches)
            optimiser.zero_grad()
            loss = -plain.elbo(counts, dosages, library_size, N_PARTICLES)
            loss.backward()
            optimiser.step()

    return run


def floor_steps(shape: Shape, steps: int) -> Callable[[], int]:
    """The steps' matrix products alone; returns the operations of one step."""
    screen = simulated(shape.n_perturbations, n_cells=shape.n_cells)
    layers = step_layers(
        n=BATCH,
        P=N_PARTICLES,
        K=round(carried_perturbations(screen, BATCH)),
        G=screen.n_genes,
        L=shape.n_latent,
        H=shape.n_hidden,
        embedding_hidden=SAMSVAE.Config.model_fields["embedding_n_hidden"].default,
    )
    multiply_ = multiply(layers, steps)

    def run() -> int:
        multiply_()
        return flops(layers)

    return run


def carried_perturbations(screen: Screen, n: int) -> float:
    """Mean number of perturbations that the cells of a random minibatch carry."""
    rng = np.random.default_rng(0)
    found = [
        len(np.unique(screen.dosages[rng.choice(screen.n_cells, n, replace=False)].indices))
        for _ in range(20)
    ]
    return float(np.mean(found))


class BareLoop:
    """The training loop without Lightning: the same batches, objective, clipping and optimiser.

    Parameters
    ----------
    module
        The model, initialised.
    screen
        All of whose cells train.
    config
        Settings.
    """

    def __init__(self, module: Any, screen: Screen, config: TrainingConfig) -> None:
        self.module, self.config, self.taken = module, config, 0
        made = TrainingModule(module, config).configure_optimizers()
        self.optimiser = made["optimizer"]
        self.schedule = made["lr_scheduler"]["scheduler"]
        self.batches = iter(
            TrainingBatches(
                screen,
                np.arange(screen.n_cells),
                batch_size=config.batch_size,
                seed=config.seed,
                draw_rank=perturbation_rank(screen.dosages).numpy(),
            )
        )
        module.train()

    def step(self) -> Tensor:
        """Take one step; returns its loss."""
        config, module = self.config, self.module
        batch = next(self.batches)
        begin_phase(module, config, self.taken, self.optimiser)
        generator = step_generator(config.seed, self.taken, torch.device("cpu"))
        loss = minibatch_objective(module, batch, config, self.taken, generator)["loss"]
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.gradient_clip)
        self.optimiser.step()
        self.schedule.step()
        bound_mask(module, config, self.taken)
        self.taken += 1
        return loss.detach()


def loop_rows(quick: bool) -> list[Row]:
    """Lightning's loop against a bare one, and validation's share of training."""
    rounds = 5 if quick else 12
    loops = race({"loops": Side(both_loops, (SHAPES[0], rounds))}, repeats=1, warm_ups=0)
    lightning, bare = (1e3 * median(times) for times in loops["loops"].result)
    checks = race({"checks": Side(validation_share, (rounds,))}, repeats=1, warm_ups=0)
    step, validation = checks["checks"].result
    every = TrainingConfig().validation_every
    share = 100 * validation / (every * step)
    return [
        Row(
            f"Lightning's loop, {SHAPES[0]}", "ms", lightning, floor=bare,
            of_floor=LIGHTNING_AT_MOST,
            note="floor: a bare loop over the same module, batches and optimiser",
        ),
        Row(
            "Validation's share of training", "%", share, at_most=VALIDATION_AT_MOST,
            note=f"default settings, {VALIDATION_CELLS:,} validation cells: {1e3 * validation:.0f} "
            f"ms every {every} steps of {1e3 * step:.1f} ms",
        ),
    ]  # fmt: skip


def both_loops(shape: Shape, rounds: int) -> Callable[[], tuple[list[float], list[float]]]:
    """Seconds a step of Lightning's loop and of the bare one, taking turns in one process."""
    every = 5
    config = TrainingConfig(
        n_particles=N_PARTICLES, max_steps=(rounds + 2) * every, validation_every=every,
        **WITH_MASKS,
    )  # fmt: skip

    def run() -> tuple[list[float], list[float]]:
        bare = BareLoop(*_module(shape), config)
        bare_times: list[float] = []

        def take_bare_steps() -> None:
            started = time.perf_counter()
            with torch.enable_grad():
                for _ in range(every):
                    bare.step()
            bare_times.append((time.perf_counter() - started) / every)

        module, screen = _module(shape)
        lightning = fit_intervals(module, screen, config, between=take_bare_steps)
        return lightning[1:], bare_times[1:]

    return run


def validation_share(rounds: int) -> Callable[[], tuple[float, float]]:
    """Median seconds of a step and of one validation at the default settings."""

    def run() -> tuple[float, float]:
        screen = simulated(60, n_cells=2 * VALIDATION_CELLS)
        split = np.full(screen.n_cells, "train", dtype=object)
        split[::2] = "val"
        settings = {"max_steps": rounds + 2, "validation_every": 1, **WITH_MASKS}

        def intervals(chosen: np.ndarray) -> float:
            module = SAMSVAE(screen, split=chosen).module
            return median(fit_intervals(module, screen, TrainingConfig(**settings), chosen)[1:])

        without = np.where(split == "val", "test", split)
        pairs = [(intervals(without), intervals(split)) for _ in range(3)]
        step = median(pair[0] for pair in pairs)
        return step, median(pair[1] for pair in pairs) - step

    return run


def fit_intervals(
    module: Any,
    screen: Screen,
    config: TrainingConfig,
    split: np.ndarray | None = None,
    *,
    between: Callable[[], None] | None = None,
) -> list[float]:
    """Seconds a step of the library's own training, between each two validations.

    ``between`` is called at every validation, out of what is timed.
    """
    seconds: list[float] = []
    resumed: list[float] = []

    def keep(_state: dict[str, Tensor]) -> None:
        if resumed:
            seconds.append((time.perf_counter() - resumed[-1]) / config.validation_every)
        if between is not None:
            between()
        resumed.append(time.perf_counter())

    chosen = np.full(screen.n_cells, "train") if split is None else split
    fit(module, screen, chosen, config, save_weights=keep, hardware=Hardware("cpu", 1))
    return seconds


def endless(batches: Any) -> Any:
    """Pass over minibatches again and again."""
    while True:
        yield from batches


def _module(shape: Shape) -> tuple[Any, Screen]:
    """An initialised module and its screen."""
    screen = simulated(shape.n_perturbations, n_cells=shape.n_cells)
    model = SAMSVAE(
        screen,
        split=np.full(screen.n_cells, "train"),
        n_latent=shape.n_latent,
        n_hidden=shape.n_hidden,
    )
    return model.module, screen
