"""Everything by which a trained model is judged, in one file beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from sams_core.analysis.condition_effects import dosages_of
from sams_core.analysis.effects import model_ate
from sams_core.analysis.evaluation_config import EvaluationConfig
from sams_core.analysis.evaluation_draws import cells_in_space, mean_count_effects, replicate_check
from sams_core.analysis.evaluation_effects import (
    MAX_CELLS,
    Measurements,
    Prediction,
    measure,
    score_baselines,
    score_ceiling,
    score_model,
)
from sams_core.analysis.evaluation_files import (
    EVALUATION,
    FAMILY_NAMES,
    FORMAT,
    FORMAT_VERSION,
    INFERENCE_NAMES,
)
from sams_core.analysis.evaluation_masks import mask_scores, pathway_scores
from sams_core.analysis.iwelbo import iwelbo_by_scope
from sams_core.analysis.predictive_check import PredictiveCheck
from sams_core.analysis.prepare import find_screen
from sams_core.analysis.progress import Progress, reporter
from sams_core.analysis.seed_masks import write_mask
from sams_core.api import load_model
from sams_core.data.gene_sets import read_gmt
from sams_core.data.screen import Screen
from sams_core.perturbation_model import PerturbationModel
from sams_core.record import WEIGHTS
from sams_core.storage import replacing, write_json
from sams_core.tensors import read_metadata

__all__ = ["PREDICTIVE_CHECK", "STEPS", "EvaluationConfig", "evaluate"]

STEPS = (
    "Reading the screen", "IWELBO", "Effects", "Predictive check", "Baselines", "Masks", "Writing",
)  # fmt: skip
"""Names of the steps, in their order."""

PREDICTIVE_CHECK = "predictive_check.h5ad"


def evaluate(
    folder: str | Path,
    *,
    screen: Screen | str | Path | None = None,
    config: EvaluationConfig | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge a trained model and write what came out beside it.

    Measured effects come from test cells, baselines from training cells. ``evaluation.json`` has
    the figures and is written last; ``predictive_check.h5ad`` (conditions x genes) has the measured
    effects in ``X``, and the check in the layers ``p_value``, ``lower``, ``upper`` and
    ``model_mean``; genes without a count in the test cells of a condition and of the control are
    not checked. ``mask.h5ad``, where the family has a mask, is what seeds are compared by
    (:mod:`sams_core.analysis.stability`).

    Parameters
    ----------
    folder
        A checkpoint.
    screen
        The screen it was trained on, or its path; by default the path noted at training.
    config
        Settings.
    progress
        Told of every step of :data:`STEPS`.

    Returns
    -------
    What ``evaluation.json`` holds.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read, or the screen is not the one it was trained on.
    ScreenError
        If the screen or the gene sets cannot be read.
    """
    started = time.perf_counter()
    folder, config = Path(folder), config or EvaluationConfig()

    report = reporter(progress)
    at = report("Reading the screen")
    gene_sets = None if config.pathways is None else read_gmt(config.pathways)
    model = load_model(folder)
    model.attach(find_screen(model, folder, screen))
    assert model.screen is not None
    at(1.0)
    iwelbo = iwelbo_by_scope(
        model.module,
        model.encoded(model.screen),
        model.split,
        n_particles=config.iwelbo_particles,
        seed=config.seed,
        progress=report("IWELBO"),
    )
    at = report("Effects")
    data = measure(model.screen, model.split, seed=config.seed)
    scores = score_model(data, predict(model, data, config, progress=at))
    check = _check(model, data, config, report("Predictive check"))
    at = report("Baselines")
    scores += score_baselines(data, seed=config.seed) + score_ceiling(data)
    at(1.0)
    at = report("Masks")
    effects = data.train.expression.effect
    mask = mask_scores(model, model.screen)
    pathways = pathway_scores(
        model, model.screen, effects, data.dosages, gene_sets, seed=config.seed
    )
    at(1.0)
    at = report("Writing")
    write_mask(folder, model)
    evaluation = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **describe(model, folder),
        "n_genes": model.screen.n_genes,
        "settings": config.model_dump(mode="json"),
        "iwelbo": iwelbo,
        "scores": scores,
        "mask": mask,
        "pathways": pathways,
        "predictive_check": check.summary(),
        "e_distance_space": data.space.describe(),
        "seconds": {
            "train": _training_seconds(model),
            "evaluate": round(time.perf_counter() - started, 1),
        },
    }
    with replacing(folder / PREDICTIVE_CHECK) as temporary:
        _check_table(data, check, model).write_h5ad(temporary, compression="gzip")
    write_json(folder / EVALUATION, evaluation)
    at(1.0)
    return evaluation


def describe(model: PerturbationModel, folder: Path) -> dict[str, Any]:
    """Say which checkpoint an evaluation is of."""
    record = model.record
    inference = record.model.get("inference")
    return {
        "checkpoint": record.digest,
        "weights": read_metadata(folder / WEIGHTS)["payload"],
        "label": f"{FAMILY_NAMES[record.family]}, {INFERENCE_NAMES[inference]}",
        "family": record.family,
        "inference": inference,
        "seed": record.seed,
        "split": record.split,
        "simulated": record.simulated,
        "title": record.title,
    }


def predict(
    model: PerturbationModel,
    data: Measurements,
    config: EvaluationConfig,
    *,
    progress: Callable[[float], None] | None = None,
) -> Prediction:
    """What a model predicts of every condition; one it was not trained on is predicted as it is."""
    assert model.screen is not None
    dosages = dosages_of(model.encoded(model.screen), data.conditions)
    module, sizes, seed = model.module, model.library_sizes, config.seed
    effects = model_ate(
        module, dosages, library_size=sizes, n_particles=config.ate_particles, seed=seed,
        progress=progress,
    )  # fmt: skip
    mean_counts = mean_count_effects(
        module, dosages, library_size=float(np.mean(sizes)), n_particles=config.ate_particles,
        seed=seed,
    )  # fmt: skip
    cells = cells_in_space(
        module, dosages, data.space, library_size=sizes, n_cells=MAX_CELLS, seed=seed
    )
    return Prediction(effects.mean, mean_counts, cells)


def _check(
    model: PerturbationModel,
    data: Measurements,
    config: EvaluationConfig,
    progress: Callable[[float], None],
) -> PredictiveCheck:
    assert model.screen is not None
    test = data.test.expression
    counted = data.scored[:, None] & (test.standard_error > 0)  # else 0 on both sides
    return replicate_check(
        model.module,
        model.encoded(model.screen),
        model.split == "test",
        data.conditions.to_numpy(),
        np.where(counted, test.effect, np.nan),
        n_replicates=config.replicates,
        seed=config.seed,
        progress=progress,
    )


def _check_table(
    data: Measurements, check: PredictiveCheck, model: PerturbationModel
) -> ad.AnnData:
    test = data.test.expression
    table = ad.AnnData(
        test.effect.astype(np.float32),
        obs=pd.DataFrame(
            {"n_cells_test": test.n_cells, "seen_in_training": data.seen}, index=data.conditions
        ),
        var=pd.DataFrame(index=model.gene_names),
        layers={
            "p_value": check.p_value.astype(np.float32),
            "lower": check.lower.astype(np.float32),
            "upper": check.upper.astype(np.float32),
            "model_mean": check.mean.astype(np.float32),
        },
    )
    table.uns["simulated"] = model.record.simulated
    return table


def _training_seconds(model: PerturbationModel) -> float | None:
    return float(model.history["seconds"].max()) if len(model.history) else None
