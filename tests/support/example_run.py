"""A small checkpoint folder with an untrained model and made-up explorer tables."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats

from sams_core.api import FAMILIES
from sams_core.data import Screen
from sams_core.data.splits import SplitConfig
from sams_core.record import read_config
from sams_core.tensors import read_metadata

SINGLES = ("IFNGR1", "IFNGR2", "JAK2", "STAT1", "SMAD4", "TGFBR2", "MYC", "SPI1")
PATHWAYS = ("IFN-gamma",) * 4 + ("TGF-beta",) * 2 + ("other",) * 2
DOUBLES = ("IFNGR1+SMAD4", "JAK2+MYC")
GENES = tuple(f"GENE{number:02d}" for number in range(40))
N_LATENT, N_CELLS = 6, 160
CONTROL = "control"

Labels = NDArray[np.str_]


def write_example_run(
    folder: Path,
    *,
    title: str,
    simulated: bool = False,
    seed: int = 0,
    family: str = "sams_vae",
    split: SplitConfig | None = None,
    screen_seed: int | None = None,
    **hyperparameters: Any,
) -> Path:
    """Write a prepared checkpoint folder, all of it made up; the model was never trained.

    Four perturbations share latents z0 and z1, two open z2, two open nothing; z3 to z5 are unused.
    Families without a mask shift every latent, or none. Runs of one ``screen_seed``, by default
    ``seed``, are on one screen.
    """
    rng = np.random.default_rng(seed if screen_seed is None else screen_seed)
    citation = None if simulated else "Nobody et al. 2020, Journal of Examples"
    labels = rng.choice([*SINGLES, *DOUBLES, CONTROL, CONTROL], N_CELLS)
    screen = _screen(rng, labels, simulated)
    settings: dict[str, Any] = {"n_latent": N_LATENT, **hyperparameters}
    model = FAMILIES[family](
        screen, title=title, citation=citation, seed=seed, split=split, **settings
    )
    model.save(folder)
    explorer = folder / "explorer"
    explorer.mkdir()
    masks = _masks(rng, simulated)
    if not model.has_mask:
        _remove_mask(masks, model.has_shift)
    effects = _effects(rng, np.asarray(masks.layers["effect"]))
    for name, table in {
        "masks": masks,
        "effects": effects,
        "cells": _cells(rng, masks, labels),
    }.items():
        table.write_h5ad(explorer / f"{name}.h5ad", compression="gzip")
    (explorer / "metrics.json").write_text(json.dumps(_metrics(masks, simulated)))
    write_manifest(folder)
    history = _history()
    history.loc[:, "share_open"] *= 1.0 if model.has_mask else np.nan
    history.to_csv(folder / "history.csv", index=False)
    return folder


def write_evaluation(
    folder: Path,
    pearson: float,
    *,
    iwelbo: float = -100.0,
    f1: float | None = None,
    additive: float = 0.6,
) -> Path:
    """Write a made-up ``evaluation.json`` beside a checkpoint.

    The model's Pearson is ``pearson`` over all and seen conditions, and 0.1 less over unseen ones;
    that of the additive baseline is the same for all; the ceiling is 0.9.
    """
    record = read_config(folder)

    def score(predictor: str, kind: str, scope: str, value: float | None) -> dict[str, object]:
        return {
            "predictor": predictor, "kind": kind, "scope": scope, "metric": "pearson",
            "value": value, "n_conditions": {"all": 5, "seen": 3, "unseen": 2}[scope],
        }  # fmt: skip

    scores = [
        score(*row, value)
        for scope, less in (("all", 0.0), ("seen", 0.0), ("unseen", 0.1))
        for row, value in (
            (("model", "model", scope), pearson - less),
            (("additive", "baseline", scope), additive),
            (("no_change", "baseline", scope), None),
            (("technical_duplicate", "ceiling", scope), 0.9),
        )
    ]
    bound = {"test": iwelbo, "val": iwelbo, "test_seen": iwelbo, "test_unseen": iwelbo - 1}
    evaluation = {
        "format": "sams_core.evaluation", "format_version": 1, "checkpoint": record.digest,
        "weights": read_metadata(folder / "weights.safetensors")["payload"], "label": "made up",
        "family": record.family, "inference": record.model.get("inference"), "seed": record.seed,
        "split": record.split, "simulated": record.simulated, "title": record.title,
        "settings": {}, "iwelbo": bound, "scores": scores,
        "mask": None if f1 is None else {"share_open": 0.1, "f1": f1}, "pathways": None,
        "predictive_check": None, "seconds": {"train": 10.0, "evaluate": 1.0},
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


def write_manifest(folder: Path) -> None:
    """Record the digest of every explorer table, as ``prepare`` does last."""
    files = [path for path in (folder / "explorer").iterdir() if path.name != "manifest.json"]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "explorer" / "manifest.json").write_text(json.dumps(digests))


def _screen(rng: np.random.Generator, labels: Labels, simulated: bool) -> Screen:
    cells = ad.AnnData(
        sparse.csr_matrix(rng.poisson(3.0, (N_CELLS, len(GENES))).astype(np.float32)),
        obs=pd.DataFrame({"perturbation": labels}, index=[f"cell{i}" for i in range(N_CELLS)]),
        var=pd.DataFrame(index=list(GENES)),
        uns={"simulated": simulated},
    )
    return Screen.from_anndata(cells, perturbation_key="perturbation", control=CONTROL)


def _masks(rng: np.random.Generator, simulated: bool) -> ad.AnnData:
    is_open = np.zeros((len(SINGLES), N_LATENT), dtype=bool)
    is_open[:4, :2] = is_open[4:6, 2] = True
    probability = np.where(is_open, rng.uniform(0.8, 0.94, is_open.shape), 0.04)
    embedding = rng.normal(0, 1.5, is_open.shape)
    n_cells = rng.integers(8, 20, len(SINGLES))
    masks = ad.AnnData(
        probability.astype(np.float32),
        obs=pd.DataFrame(
            {
                "n_cells": n_cells,
                "n_cells_train": (n_cells * 0.64).astype(int),
                "n_significant": np.arange(len(SINGLES))[::-1],
                "pathway": pd.Categorical(PATHWAYS),
            },
            index=list(SINGLES),
        ),
        var=pd.DataFrame(
            {"n_open": is_open.sum(0), "used": is_open.any(0)},
            index=[f"z{number}" for number in range(N_LATENT)],
        ),
        layers={
            "embedding_mean": embedding.astype(np.float32),
            "embedding_sd": np.full(is_open.shape, 0.2, np.float32),
            "effect": (embedding * probability).astype(np.float32),
            "effect_sd": np.full(is_open.shape, 0.2, np.float32),
        },
        obsm={"X_umap": rng.normal(0, 3, (len(SINGLES), 2)).astype(np.float32)},
        uns={"simulated": simulated},
    )
    if simulated:
        masks.uns["truth_mask"] = is_open[:, ::-1].astype(np.int8)
    return masks


def _remove_mask(masks: ad.AnnData, has_shift: bool) -> None:
    masks.X = np.full(masks.shape, float(has_shift), np.float32)
    masks.layers["effect"] = np.asarray(masks.layers["embedding_mean"]) * float(has_shift)
    masks.var["used"], masks.var["n_open"] = has_shift, masks.n_obs * int(has_shift)
    masks.uns |= {"has_mask": False, "has_shift": has_shift}
    masks.uns.pop("truth_mask", None)


def _effects(rng: np.random.Generator, shift: NDArray[np.float32]) -> ad.AnnData:
    conditions = [*SINGLES, *DOUBLES]
    members = [[SINGLES.index(name) for name in condition.split("+")] for condition in conditions]
    weights = rng.normal(0, 0.4, (N_LATENT, len(GENES)))
    truth = np.array([shift[rows].sum(axis=0) for rows in members]) @ weights
    n_cells = rng.integers(8, 20, len(conditions))
    effects = ad.AnnData(
        truth.astype(np.float32),
        obs=pd.DataFrame(
            {
                "perturbations": conditions,
                "n_perturbations": [len(rows) for rows in members],
                "n_cells": n_cells,
                "n_cells_train": (n_cells * 0.64).astype(int),
                "n_cells_test": (n_cells * 0.2).astype(int),
                "seen_in_training": [condition != DOUBLES[1] for condition in conditions],
                "n_significant": rng.integers(0, 30, len(conditions)),
                "pearson": [*rng.uniform(0.5, 0.9, len(conditions) - 1), np.nan],
                "pearson_top20": [*rng.uniform(0.6, 0.95, len(conditions) - 1), np.nan],
                "ceiling": [*rng.uniform(0.7, 0.95, len(conditions) - 1), np.nan],
                "ceiling_top20": [*rng.uniform(0.8, 0.97, len(conditions) - 1), np.nan],
            },
            index=conditions,
        ),
        var=pd.DataFrame(
            {
                "symbol": list(GENES),
                "mean_control": rng.gamma(0.5, 1, len(GENES)),
                "frac_detected": rng.random(len(GENES)),
            },
            index=list(GENES),
        ),
        uns={
            "n_particles": 100,
            "library_size": "the library sizes of the training cells",
            "control": CONTROL,
            "n_control_cells": 40,
        },
    )
    effects.layers["model_se"] = np.full(truth.shape, 0.01, np.float32)
    _measure(effects, rng, truth)
    return effects


def _measure(effects: ad.AnnData, rng: np.random.Generator, truth: NDArray[np.float64]) -> None:
    def noisy(sd: float) -> NDArray[np.float32]:
        return (truth + rng.normal(0, sd, truth.shape)).astype(np.float32)

    effects.layers["data_ate_train"] = noisy(0.1)
    for suffix, sd in (("", 0.08), ("_test", 0.2)):
        effects.layers[f"data_ate{suffix}"] = noisy(sd)
        effects.layers[f"data_se{suffix}"] = np.full(truth.shape, sd, np.float32)
        statistic = effects.layers[f"data_ate{suffix}"] / sd
        effects.layers[f"statistic{suffix}"] = statistic
        pvalue = np.clip(2 * stats.norm.sf(np.abs(statistic)), 1e-300, 1)
        effects.layers[f"pvalue{suffix}"] = pvalue.astype(np.float32)
        fdr = stats.false_discovery_control(pvalue, axis=1)
        effects.layers[f"fdr{suffix}"] = fdr.astype(np.float32)


def _cells(rng: np.random.Generator, masks: ad.AnnData, labels: Labels) -> ad.AnnData:
    shifts = dict(zip(SINGLES, np.asarray(masks.layers["effect"]), strict=True))
    zero = np.zeros(N_LATENT)
    shift = np.array([sum((shifts.get(n, zero) for n in c.split("+")), zero) for c in labels])
    basal = rng.normal(size=(N_CELLS, N_LATENT))
    return ad.AnnData(
        sparse.csr_matrix(np.zeros((N_CELLS, 0), np.float32)),
        obs=pd.DataFrame(
            {
                "condition": pd.Categorical(labels.tolist()),
                "n_perturbations": [0 if c == CONTROL else c.count("+") + 1 for c in labels],
                "split": pd.Categorical(rng.choice(["train", "val", "test"], N_CELLS)),
                "library_size": rng.gamma(5, 100, N_CELLS),
                "replicate": pd.Categorical(rng.choice(["rep_1", "rep_2"], N_CELLS)),
            },
            index=[f"cell{number}" for number in range(N_CELLS)],
        ),
        obsm={
            "z_basal": basal.astype(np.float32),
            "z": (basal + shift).astype(np.float32),
            "X_umap_basal": (basal[:, :2] * 3).astype(np.float32),
            "X_umap": ((basal + shift)[:, :2] * 3).astype(np.float32),
        },
        uns={"n_cells_total": N_CELLS},
    )


def _metrics(masks: ad.AnnData, simulated: bool) -> dict[str, object]:
    return {
        "n_cells": N_CELLS,
        "n_genes": len(GENES),
        "n_perturbations": len(SINGLES),
        "n_conditions": len(SINGLES) + len(DOUBLES),
        "splits": {"train": 102, "val": 26, "test": 32},
        "heldout_ate": {
            "pearson": 0.81,
            "pearson_top20": 0.9,
            "ceiling": 0.84,
            "ceiling_top20": 0.93,
            "baselines": {
                "no_change": {"pearson": None, "pearson_top20": None},
                "perturbed_mean": {"pearson": 0.35, "pearson_top20": 0.4},
            },
        },
        "elbo": {"train": -420.0, "val": -423.0, "test": -424.0},
        "share_open": float((np.asarray(masks.X) > 0.5).mean())
        if masks.uns.get("has_mask", True)
        else None,
        "n_latents_used": int(masks.var["used"].sum()),
        "truth": {"f1": 0.91, "precision": 0.85, "recall": 0.98}
        if "truth_mask" in masks.uns
        else None,
        "prepared": {"seconds": 1.0, "versions": {}, "seed": 0},
    }


def _history() -> pd.DataFrame:
    steps = np.repeat(np.arange(100, 1100, 100), 2)
    rise = np.exp(-steps / 300)
    return pd.DataFrame(
        {
            "step": steps,
            "split": ["train", "validation"] * (len(steps) // 2),
            "elbo": -420 - 200 * rise,
            "log_likelihood": -400 - 200 * rise,
            "kl_z_basal": 18.0,
            "kl_mask": 0.4,
            "kl_embedding": 0.3,
            "share_open": 0.5 * rise + 0.06,
            "mask_penalty": 0.05,
            "seconds": steps * 0.02,
        }
    )
