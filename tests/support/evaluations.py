"""Evaluations as :func:`sams_core.analysis.evaluation_files.read_evaluation` gives them."""

from __future__ import annotations

from typing import Any

RECIPE = {"kind": "random", "test": 0.2, "val": 0.2, "holdout": 0.5, "fraction": 1.0, "seed": 0}
NAMES = {"sams_vae": "SAMS-VAE", "svae_plus": "SVAE+", "conditional_vae": "Conditional VAE"}


def evaluation(
    family: str = "sams_vae",
    inference: str | None = "correlated",
    seed: int = 0,
    *,
    pearson: float | None = 0.5,
    additive: float = 0.4,
    iwelbo: float = -100.0,
    f1: float | None = None,
    split: dict[str, Any] | None = RECIPE,
    **changes: Any,
) -> dict[str, Any]:
    """What :func:`read_evaluation` would give."""

    def score(predictor: str, kind: str, value: float | None, scope: str = "all") -> dict[str, Any]:
        return {
            "predictor": predictor, "kind": kind, "scope": scope, "metric": "pearson",
            "value": value, "n_conditions": 3,
        }  # fmt: skip

    return {
        "run": f"{family}-{inference}-{seed}", "folder": "x", "model": NAMES[family],
        "family": family, "inference": inference, "seed": seed, "split": split,
        "title": "Screen", "fingerprint": "f", "simulated": False,
        "hyperparameters": {"n_latent": 20},
        "iwelbo": {"test": iwelbo, "val": 0.0, "test_seen": iwelbo, "test_unseen": None},
        "scores": [
            score("model", "model", pearson),
            score("technical_duplicate", "ceiling", 0.9),
            score("additive", "baseline", additive),
            score("no_change", "baseline", None),
        ],
        "mask": None if f1 is None else {"share_open": 0.1, "f1": f1},
        "pathways": None, "predictive_check": {"coverage_90": 0.9, "n": 10},
        "seconds": {"train": 1.0, "evaluate": 1.0},
    } | changes  # fmt: skip
