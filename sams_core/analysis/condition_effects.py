"""Effects of every condition, by the model and in the data: the table and its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.torch import save

from sams_core.analysis.baselines import baseline_effects
from sams_core.analysis.differential import (
    DifferentialExpression,
    differential_expression,
    group_statistics,
)
from sams_core.analysis.effects import ModelEffects, model_ate
from sams_core.analysis.metrics import EffectAgreement, effect_agreement
from sams_core.analysis.tasks import Runner, effects_of_block, joined
from sams_core.data.screen import Screen
from sams_core.data.totals import cells_detecting
from sams_core.perturbation_model import PerturbationModel

MIN_TEST_CELLS = 2
"""Held-out cells that a condition needs to be scored."""


def effects_table(
    model: PerturbationModel,
    screen: Screen,
    *,
    n_particles: int = 2500,
    seed: int = 0,
    begun: Iterator[ModelEffects] | None = None,
    progress: Callable[[float], None] | None = None,
) -> ad.AnnData:
    """Conditions by genes: the model's effects beside the data's.

    Parameters
    ----------
    model
        A trained model; its split says which cells are training and test cells.
    screen
        The screen it was trained on.
    n_particles
        Simulated cells per condition.
    seed
        Of the simulated cells.
    begun
        The model's effects where :func:`begin_effects` has begun on them; particles and seed are
        then those that it was given.
    progress
        Called with the share done.

    Returns
    -------
    ``X`` (C, G): the model's effects in log2 units. ``layers``: ``model_se``; ``data_ate``,
    ``data_se``, ``statistic``, ``pvalue`` and ``fdr`` from all cells, the same with ``_test``
    from test cells, ``data_ate_train``. ``obs``: cells and scores of each condition. ``var``:
    ``symbol``, ``mean_control`` (log2 units) and ``frac_detected``.
    """
    report = progress or (lambda share: None)
    conditions, dosages = condition_dosages(screen)
    subsets = {"all": None, "train": model.split == "train", "test": model.split == "test"}
    statistics = {
        name: group_statistics(screen.counts, screen.conditions, cells=cells)
        for name, cells in subsets.items()
    }
    data = {
        name: differential_expression(values, screen.control, conditions)
        for name, values in statistics.items()
    }
    report(0.1)
    if begun is None:
        effects = model_ate(
            model.module,
            dosages_of(model.encoded(screen), conditions),
            library_size=model.library_sizes,
            n_particles=n_particles,
            seed=seed,
            progress=lambda share: report(0.1 + 0.9 * share),
        )
    else:
        effects = joined(_reported(begun, len(conditions), report))
    control = statistics["all"].groups.get_loc(screen.control)
    detected = cells_detecting(screen.counts) / screen.n_cells
    table = ad.AnnData(
        effects.mean.astype(np.float32),
        obs=_describe_conditions(screen, conditions, dosages, data, effects),
        var=pd.DataFrame(
            {
                "symbol": screen.gene_names,
                "mean_control": statistics["all"].mean[control],
                "frac_detected": detected,
            },
            index=screen.gene_names,
        ),
        layers={name: value.astype(np.float32) for name, value in _layers(effects, data)},
    )
    table.uns["n_particles"] = effects.n_particles
    median = np.median(model.library_sizes)
    table.uns["library_size"] = f"training cells' library sizes (median {median:,.0f})"
    table.uns["control"] = screen.control
    table.uns["n_control_cells"] = data["all"].n_control
    return table


def begin_effects(
    runner: Runner,
    model: PerturbationModel,
    screen: Screen,
    *,
    n_particles: int = 2500,
    seed: int = 0,
) -> Iterator[ModelEffects]:
    """Begin on the model's effects of a screen's conditions, a block of them for each worker.

    Simulated cells are the same in every block, so the effects are those of one call of
    :func:`sams_core.analysis.effects.model_ate` but for rounding.

    Parameters
    ----------
    runner
        Where; workers get the model's record and weights.
    model
        A trained model.
    screen
        The screen it was trained on.
    n_particles
        Simulated cells per condition.
    seed
        Of the simulated cells.
    """
    conditions, _ = condition_dosages(screen)
    dosages = dosages_of(model.encoded(screen), conditions)
    state = {name: value.cpu().contiguous() for name, value in model.module.state_dict().items()}
    return runner.run(
        effects_of_block,
        np.array_split(dosages, min(max(runner.n_elsewhere, 1), len(dosages))),
        record=model.record.model_dump_json(),
        weights=save(state),
        n_particles=n_particles,
        seed=seed,
    )


def _reported(
    blocks: Iterator[ModelEffects], n_conditions: int, report: Callable[[float], None]
) -> Iterator[ModelEffects]:
    done = 0
    for block in blocks:
        yield block
        done += len(block.mean)
        report(0.1 + 0.9 * done / n_conditions)


def condition_dosages(screen: Screen) -> tuple[pd.Index, npt.NDArray[np.float32]]:
    """Conditions of a screen but the control, and the dose of each perturbation, (C, T).

    Singles come first, then combinations by size, each in the order of the perturbations.
    """
    codes = np.asarray(screen.conditions.codes)
    present, first = np.unique(codes, return_index=True)
    names = np.asarray(screen.conditions.categories)[present]
    dosages = screen.dosages[first].toarray()
    rows = np.flatnonzero(names != screen.control)
    keys = [
        (len(members := np.flatnonzero(dosages[row])), tuple(members), tuple(dosages[row][members]))
        for row in rows
    ]
    order = rows[sorted(range(len(rows)), key=keys.__getitem__)]
    return pd.Index(names[order].astype(str)), dosages[order]


def dosages_of(screen: Screen, conditions: pd.Index) -> npt.NDArray[np.float32]:
    """Dose of each of the screen's perturbations in the given conditions: (C, T)."""
    first = pd.Index(screen.conditions.astype(object)).drop_duplicates()
    rows = np.flatnonzero(~pd.Series(screen.conditions).duplicated())
    dosages: npt.NDArray[np.float32] = screen.dosages[rows[first.get_indexer(conditions)]].toarray()
    return dosages


def heldout_scores(effects: ad.AnnData) -> dict[str, Any]:
    """Score the model, the data's own ceiling and the baselines on test cells.

    Conditions with at least two test cells and some training cell take part, the same for all.
    The ceiling is the agreement of training cells' effects with test cells' effects.

    Returns
    -------
    JSON-able: ``pearson``, ``pearson_top20``, ``r2``, ``rmse`` of the model, ``ceiling`` and
    ``ceiling_top20``, ``baselines`` by name and ``n_conditions``.
    """
    rows = (effects.obs["n_cells_test"] >= MIN_TEST_CELLS) & effects.obs["seen_in_training"]
    shown = effects[rows.to_numpy()]
    measured = np.asarray(shown.layers["data_ate_test"])
    training = np.asarray(effects.layers["data_ate_train"])
    ceiling = effect_agreement(measured, training[rows]).summary()
    single = (effects.obs["n_perturbations"] == 1).to_numpy()
    return {
        "n_conditions": int(rows.sum()),
        **effect_agreement(measured, np.asarray(shown.X)).summary(),
        "ceiling": ceiling["pearson"],
        "ceiling_top20": ceiling["pearson_top20"],
        "ceiling_rmse": ceiling["rmse"],
        "baselines": {
            name: effect_agreement(measured, values[rows]).summary()
            for name, values in baseline_effects(training, single).items()
        },
    }


def _layers(
    effects: ModelEffects, data: dict[str, DifferentialExpression]
) -> list[tuple[str, npt.NDArray[np.float64]]]:
    layers = [("model_se", effects.standard_error), ("data_ate_train", data["train"].effect)]
    for suffix, found in (("", data["all"]), ("_test", data["test"])):
        layers += [
            (f"data_ate{suffix}", found.effect),
            (f"data_se{suffix}", found.standard_error),
            (f"statistic{suffix}", found.statistic),
            (f"pvalue{suffix}", found.p_value),
            (f"fdr{suffix}", found.fdr),
        ]
    return layers


def _describe_conditions(
    screen: Screen,
    conditions: pd.Index,
    dosages: npt.NDArray[np.float32],
    data: dict[str, DifferentialExpression],
    effects: ModelEffects,
) -> pd.DataFrame:
    members = [screen.perturbation_names[row != 0] for row in dosages]
    model = _scored(data["test"], effects.mean)
    ceiling = _scored(data["test"], data["train"].effect)
    return pd.DataFrame(
        {
            "perturbations": ["+".join(names) for names in members],
            "n_perturbations": [len(names) for names in members],
            "n_cells": data["all"].n_cells,
            "n_cells_train": data["train"].n_cells,
            "n_cells_test": data["test"].n_cells,
            "seen_in_training": data["train"].n_cells > 0,
            "n_significant": data["all"].n_significant(),
            "pearson": model.by_condition,
            "pearson_top20": model.by_condition_top20,
            "ceiling": ceiling.by_condition,
            "ceiling_top20": ceiling.by_condition_top20,
        },
        index=conditions,
    )


def _scored(test: DifferentialExpression, predicted: npt.NDArray[np.float64]) -> EffectAgreement:
    enough = (test.n_cells >= MIN_TEST_CELLS)[:, None]
    return effect_agreement(np.where(enough, test.effect, np.nan), predicted)
