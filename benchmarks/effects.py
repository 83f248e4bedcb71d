"""What is asked of a trained model: effects, bounds, a combination, and the explorer's tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.floors import bound_layers, decoder_layers, multiply
from benchmarks.measure import Side, race
from benchmarks.plain import PlainSAMSVAE, dense
from benchmarks.report import Row
from benchmarks.screens import N_GENES, N_HIDDEN, N_LATENT, model_with_effects, simulated
from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.effects import model_ate
from sams_core.analysis.iwelbo import iwelbo
from sams_core.analysis.prepare import prepare
from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.models import SAMSVAEModule

N_CONDITIONS, N_CELLS = 80, 3000
ATE_PARTICLES = 2500
BOUND_CELLS, BOUND_PARTICLES, CELLS_AT_ONCE = 256, 100, 32
DRAWS, STATES = 512, 8
"""Of a combination, as :func:`predict_combination` has them by default."""
SIZES = {"G": N_GENES, "L": N_LATENT, "H": N_HIDDEN}

Errors = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def ate_rows(quick: bool) -> list[Row]:
    """Average treatment effects: at the same number of draws, and at the same standard error."""
    C = 4 if quick else N_CONDITIONS  # what is asked is asked of all of them
    done = race(
        {
            "ours": Side(our_effects, (C, ATE_PARTICLES)),
            "plain": Side(plain_effects, (C, ATE_PARTICLES)),
            "floor": Side(decoding, (ATE_PARTICLES, C + 1)),
        },
        repeats=3,
        warm_ups=0,
    )
    ours, plain, floor = done["ours"], done["plain"], done["floor"]
    share = mean_square(ours.result[1]) / mean_square(plain.result[1])
    particles = max(2, int(np.ceil(ATE_PARTICLES * share)))
    fewer = race({"ours": Side(our_effects, (C, particles))}, repeats=5, warm_ups=0)["ours"]
    deviation = np.sqrt(mean_square(fewer.result[0] - ours.result[0]))
    stated, wanted = (np.sqrt(mean_square(side.result[1])) for side in (fewer, plain))
    name = f"ATE, {C} conditions, G={N_GENES} L={N_LATENT} H={N_HIDDEN}"
    rows = [
        Row(
            f"{name}: {ATE_PARTICLES:,} particles", "s",
            ours.median, plain.median, floor.median, ours.peak_mib,
            faster_than_plain=None if quick else 5,
            note=f"standard errors: {np.sqrt(mean_square(ours.result[1])):.4f} ours, {wanted:.4f} "
            "plain; floor: every cell decoded",
        ),
        Row(
            f"{name}: at equal standard error", "s",
            fewer.median, plain.median, None, fewer.peak_mib,
            faster_than_plain=None if quick else 50,
            note=f"{particles:,} particles: standard error {stated:.4f}, plain {wanted:.4f}; root "
            f"mean square deviation from {ATE_PARTICLES:,} particles {deviation:.4f}",
        ),
    ]  # fmt: skip
    return rows + memory_row(f"{name}: peak memory", ours.peak_mib, plain.peak_mib)


def iwelbo_rows(quick: bool) -> list[Row]:
    """The importance-weighted bound."""
    done = race(
        {
            "ours": Side(our_bound, at_work=True),
            "plain": Side(plain_bound, at_work=True),
            "floor": Side(bound_products, at_work=True),
        },
        repeats=3 if quick else 9,
    )
    name = f"IWELBO, K={BOUND_PARTICLES}, {BOUND_CELLS} cells, G={N_GENES} L={N_LATENT}"
    ours, plain = done["ours"], done["plain"]
    row = Row(
        name, "s", ours.median, plain.median, done["floor"].median, ours.peak_mib,
        faster_than_plain=3,
        note=f"plain: {CELLS_AT_ONCE} cells at once",
    )  # fmt: skip
    return [row, *memory_row(f"{name}: peak memory", ours.peak_mib, plain.peak_mib)]


def what_if_rows(quick: bool) -> list[Row]:
    """A pair's predicted shift, with intervals."""
    done = race(
        {
            "ours": Side(our_combination),
            "plain": Side(plain_combination),
            "floor": Side(decoding, (DRAWS * STATES, 4)),
        },
        repeats=3 if quick else 15,
    )
    ours = done["ours"]
    row = Row(
        f"What-if: a pair, G={N_GENES} L={N_LATENT} H={N_HIDDEN}", "ms",
        1e3 * ours.median, 1e3 * done["plain"].median, 1e3 * done["floor"].median, ours.peak_mib,
        at_most=150,
        note=f"plain: counts drawn at {DRAWS} draws of E and M by {STATES} cells; floor: those "
        "cells decoded",
    )  # fmt: skip
    return [row]


def prepare_rows(quick: bool) -> list[Row]:
    """The explorer's tables of one model, by two processes and by one."""
    n_cells, n_genes = (2000, 200) if quick else (18_000, 273)
    sizes = (n_cells, n_genes)
    done = race(
        {"ours": Side(preparation, (*sizes, 2)), "plain": Side(preparation, (*sizes, 1))},
        repeats=1 if quick else 3,
        warm_ups=0 if quick else 1,
    )
    row = Row(
        f"prepare, {n_cells:,} cells, 25 perturbations, {n_genes} genes", "s",
        done["ours"].median, done["plain"].median, None, done["ours"].peak_mib,
        note="ours: two local processes; plain: the same in one"
            + ("; imports included" if quick else ""),
    )  # fmt: skip
    return [row]


def memory_row(name: str, ours: float | None, plain: float | None) -> list[Row]:
    """Row of two peaks; none where the system does not tell."""
    return [] if ours is None else [Row(name, "MiB", ours, plain)]


def mean_square(values: npt.NDArray[np.float64]) -> float:
    """Mean of squares."""
    return float(np.square(values).mean())


def our_effects(n_conditions: int, n_particles: int) -> Callable[[], Errors]:
    """The library's effects of every perturbation and their standard errors, by another seed."""
    model, _ = _model()
    dosages = np.eye(N_CONDITIONS, dtype=np.float32)[:n_conditions]
    seeds = count(n_particles * 1000)
    sizes = model.library_sizes
    model_ate(model.module, dosages[:2], library_size=sizes, n_particles=8)

    def run() -> Errors:
        found = model_ate(
            model.module, dosages, library_size=sizes, n_particles=n_particles, seed=next(seeds)
        )
        return found.mean, found.standard_error

    return run


def plain_effects(n_conditions: int, n_particles: int) -> Callable[[], Errors]:
    """The plain model's effects and their standard errors."""
    model, plain = _model()
    dosages, sizes = torch.eye(N_CONDITIONS), torch.as_tensor(model.library_sizes)
    plain.treatment_effects(dosages[:2], sizes, 100)

    def run() -> Errors:
        mean, error = plain.treatment_effects(dosages[:n_conditions], sizes, n_particles)
        return mean.double().numpy(), error.double().numpy()

    return run


def decoding(rows: int, times: int) -> Callable[[], None]:
    """Matrix products that decode ``rows`` latent states ``times`` over."""
    run = multiply(decoder_layers(rows=rows, **SIZES), times)
    multiply(decoder_layers(rows=rows, **SIZES))()
    return run


def our_bound() -> Callable[[], None]:
    """The library's bound of the first cells."""
    screen = _screen()
    module, cells = model_with_effects(screen).module, np.arange(BOUND_CELLS)

    def run() -> None:
        iwelbo(module, screen, cells, n_particles=BOUND_PARTICLES)

    return run


def plain_bound() -> Callable[[], None]:
    """The plain model's bound of the first cells."""
    screen = _screen()
    plain = _plain(model_with_effects(screen))
    cells = dense(screen, np.arange(BOUND_CELLS))

    def run() -> None:
        plain.iwelbo(*cells, n_particles=BOUND_PARTICLES, cells_at_once=CELLS_AT_ONCE)

    return run


def bound_products() -> Callable[[], None]:
    """Matrix products of the bound."""
    layers = bound_layers(n=CELLS_AT_ONCE, P=BOUND_PARTICLES, **SIZES)
    return multiply(layers, BOUND_CELLS // CELLS_AT_ONCE)


def our_combination() -> Callable[[], None]:
    """The library's prediction for a pair, another one each time."""
    model, _ = _model()
    names, first = list(model.perturbation_names), count()

    def run() -> None:
        start = next(first) % (len(names) - 1)
        predict_combination(model, names[start : start + 2])

    return run


def plain_combination() -> Callable[[], None]:
    """Brute force for a pair: counts drawn for both singles, the pair and control."""
    model, plain = _model()
    sizes = torch.as_tensor(model.library_sizes)
    dosages = torch.zeros(3, N_CONDITIONS)
    dosages[0, 0] = dosages[1, 1] = dosages[2, 0] = dosages[2, 1] = 1

    def run() -> None:
        plain.combination(dosages, sizes, DRAWS, STATES)

    return run


def preparation(n_cells: int, n_genes: int, workers: int) -> Callable[[], None]:
    """Prepare an untrained model of a simulated screen, with so many local processes."""
    screen = simulated(25, n_cells=n_cells, n_genes=n_genes)
    folder = tempfile.TemporaryDirectory()
    run_folder = Path(folder.name) / "run"
    SAMSVAE(screen).save(run_folder)

    def run() -> None:
        assert folder.name
        prepare(run_folder, screen=screen, workers=workers)

    return run


def _screen() -> Screen:
    return simulated(N_CONDITIONS, n_cells=N_CELLS)


def _model() -> tuple[SAMSVAE, PlainSAMSVAE]:
    """The library's model and a plain one with its weights."""
    model = model_with_effects(_screen())
    return model, _plain(model)


def _plain(model: SAMSVAE) -> PlainSAMSVAE:
    module = model.module
    assert isinstance(module, SAMSVAEModule)
    return PlainSAMSVAE.like(module).eval()
