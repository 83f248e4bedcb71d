"""A checkpoint in plain words: what it is, and how near it comes to what can be predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sams_core.analysis import mask_tables
from sams_core.analysis.comparison import split_name
from sams_core.analysis.effect_tables import MANY_GENES
from sams_core.analysis.evaluation_files import FAMILY_NAMES
from sams_core.explorer.run import Run
from sams_core.figures.quality import Score

FAMILY_WORDS = {
    "sams_vae": "each perturbation shifts a few latent dimensions; shifts add up",
    "cpa_vae": "each perturbation shifts every latent dimension; shifts add up",
    "svae_plus": "each condition shifts a few latent dimensions on its own",
    "conditional_vae": "perturbations are told to the network as labels",
}
INFERENCE = {
    "correlated": ("correlated", "effects are inferred together with the mask, and each cell's "
                   "own state together with its shift"),
    "correlated_e": ("correlated in effects", "effects are inferred together with the mask"),
    "correlated_z": ("correlated in cells", "each cell's own state is inferred together with its "
                     "shift"),
    "mean_field": ("mean field", "effects, cells and, where there is one, the mask are inferred "
                   "independently"),
    None: ("amortised mean field", "each cell's state is inferred from its counts"),
}  # fmt: skip
COMBINATIONS = {
    "sum": ("sums of perturbations", "so those never measured can be predicted"),
    "own": ("perturbations of their own", "so those not trained on cannot be predicted"),
}
SPLITS = {
    "random": "cells of every condition are held out at random",
    "ood_combinations": "some combinations are held out whole, to see whether the model "
    "foretells them",
    "data_efficiency": "the model learns from a part of the combinations' cells",
}
BASELINES = {"no_change": "No change", "perturbed_mean": "Mean of all perturbations"}
BASELINE_WORDS = {
    "no_change": "no perturbation does anything",
    "perturbed_mean": "every perturbation does what perturbations do on average",
}

_ABOVE = (
    ", above it because the model learns from all perturbations together and so averages out noise "
    "that each one's own cells keep"
)


def quality_sentence(metrics: Mapping[str, Any], score: str = "pearson") -> str:
    """Say how near the model comes to the ceiling.

    Parameters
    ----------
    metrics
        As in ``metrics.json``.
    score
        ``"pearson"`` (all genes) or ``"pearson_top20"``.
    """
    quality = metrics["heldout_ate"]
    model, ceiling = quality.get(score), quality.get(score.replace("pearson", "ceiling"))
    genes = "over all genes" if score == "pearson" else "over each perturbation's top 20 genes"
    if model is None:
        return f"Held-out cells, {genes}: too few of them to measure effects."
    if ceiling is None or ceiling <= 0:
        return f"Held-out cells, {genes}: model **{model:.2f}**; the ceiling is undefined."
    return (
        f"Held-out cells, {genes}: model **{model:.2f}** of a ceiling **{ceiling:.2f}** = "
        f"**{model / ceiling:.0%}**{_ABOVE if model > 1.005 * ceiling else ''}."
    )


def baseline_sentence(metrics: Mapping[str, Any], score: str = "pearson") -> str:
    """Say so when a baseline predicts held-out cells better than the model; else nothing."""
    quality = metrics["heldout_ate"]
    model, baselines = quality.get(score), quality.get("baselines") or {}
    found = {name: (baselines.get(name) or {}).get(score) for name in BASELINES}
    better = {
        name: value
        for name, value in found.items()
        if model is not None and value is not None and value > model
    }
    if not better:
        return ""
    best = max(better, key=lambda name: better[name])
    return (
        f"**A baseline does better here** ({better[best]:.2f}): to assume that "
        f"{BASELINE_WORDS[best]} predicts these genes better than this model."
    )


def noise_sentence(significant: Sequence[int]) -> str:
    """Say how many conditions have little to predict, if they are many; else nothing.

    Parameters
    ----------
    significant
        Number of significant genes of each condition.
    """
    clear = sum(number >= MANY_GENES for number in significant)
    if clear > 0.75 * len(significant):
        return ""
    return (
        f"Only {clear:,} of {len(significant):,} conditions change {MANY_GENES} genes or more. "
        "The others leave mostly noise to correlate, which lowers every bar and the ceiling alike."
    )


def training_sentence(history: pd.DataFrame) -> str:
    """Say how the ELBO on validation cells went; nothing without validation cells."""
    validation = history[(history["split"] == "validation") & np.isfinite(history["elbo"])]
    if validation.empty:
        return ""
    best, last = validation.loc[validation["elbo"].idxmax()], validation.iloc[-1]
    if best["step"] >= last["step"]:
        return (
            f"On validation cells the ELBO rose to the end, to {last['elbo']:,.1f} at step "
            f"{last['step']:,.0f}."
        )
    return (
        f"On validation cells the ELBO was highest, {best['elbo']:,.1f}, at step "
        f"{best['step']:,.0f} and fell to {last['elbo']:,.1f} by step {last['step']:,.0f}: more "
        "training fits the noise of training cells. The model that is kept is the best on "
        "validation cells once the mask had settled, not the last."
    )


def phases_sentence(config: Mapping[str, Any]) -> str:
    """Say what the curve of open entries shows; nothing where training had no phases."""
    training = config["training"]
    effects, pruned = (training.get(f"{name}_fraction", 0) for name in ("effects", "pruned"))
    if config["family"] != "sams_vae" or not effects:
        return ""
    steps = training["max_steps"]
    first = f"Up to step {round(effects * steps):,} every entry is open on purpose: what each "
    first += "perturbation does is learned before the mask."
    if not pruned:
        return first
    return f"{first} From step {steps - round(pruned * steps):,} closed entries stay closed."


def scores(metrics: Mapping[str, Any], score: str = "pearson") -> list[Score]:
    """The model and the baselines that it has to beat."""
    quality = metrics["heldout_ate"]
    baselines = quality.get("baselines") or {}
    return [
        Score("This model", quality.get(score), is_model=True),
        *(
            Score(label, (baselines.get(name) or {}).get(score), is_model=False)
            for name, label in reversed(BASELINES.items())
        ),
    ]


def family_name(run: Run) -> str:
    """What the run's kind of model is called."""
    family = str(run.config["family"])
    return FAMILY_NAMES.get(family, family)


def share_sentence(run: Run) -> str:
    """Say how much of the mask is open, or that there is none."""
    masks, n_latent = mask_tables.trained(run.masks()), run.config["model"].get("n_latent", "?")
    if mask_tables.has_mask(masks):
        is_open = mask_tables.open_entries(masks, mask_tables.OPEN_THRESHOLD)
        return (
            f"The model has **{is_open.mean():.1%}** of mask entries open, in "
            f"**{int(is_open.any(axis=0).sum())}** of {n_latent} latent dimensions."
        )
    if mask_tables.has_shift(masks):
        return (
            f"This {family_name(run)} has no mask: every perturbation shifts all {n_latent} latent "
            "dimensions."
        )
    return (
        f"This {family_name(run)} has no mask and no shifts: its networks are told what was done "
        "to a cell."
    )


def unseen_sentence(run: Run) -> str:
    """Say what the model has to go on for a condition that no training cell has."""
    if run.config.get("combinations") == "own":
        return (
            f"No training cell has this combination, and to this {family_name(run)} every "
            "combination is a perturbation of its own: it has nothing to go on, and its effect "
            "below is what it assumed before training."
        )
    return (
        "No training cell has this condition: the model's effect is put together from what it "
        "learned about its perturbations elsewhere."
    )


def model_card(run: Run) -> pd.DataFrame:
    """What the model is and how it was made: columns ``What``, ``Value``, ``In plain words``."""
    config, model, training = run.config, run.config["model"], run.config["training"]
    guide = model.get("inference")
    inference, inference_words = INFERENCE.get(guide, (str(guide), ""))
    combinations, combinations_words = COMBINATIONS[config.get("combinations", "sum")]
    split = config.get("split")
    versions = config.get("versions", {})
    rows = [
        ("Model", family_name(run), FAMILY_WORDS.get(config["family"], "")),
        ("Inference", inference, inference_words),
        ("Latent dimensions", _text(model.get("n_latent")), "axes that describe a cell"),
        *_mask_prior(model),
        *_mask_training(config),
        ("Combinations are", combinations, combinations_words),
        (
            "Split",
            split_name(split),
            SPLITS.get(split["kind"], "") if split else "which cells train came with the screen",
        ),
        (
            "Steps",
            _text(training.get("max_steps")),
            "updates of the model's weights, at most; the best on validation cells are kept",
        ),
        ("Seed", _text(config.get("seed")), "the same seed and data give the same model"),
        ("Control", str(config["control"]), "cells that effects are measured against"),
        (
            "Screen",
            config["data"].get("file") or ("simulated" if run.simulated else "–"),
            "made by a computer from a known truth" if run.simulated else "what it was trained on",
        ),
        (
            "Versions",
            ", ".join(f"{name} {version}" for name, version in versions.items()) or "–",
            "software that trained it",
        ),
        ("Digest", run.digest[:12], "fingerprint: the same digest is exactly the same model"),
    ]
    return pd.DataFrame(rows, columns=["What", "Value", "In plain words"])


def _mask_prior(model: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The row about the mask's prior; none without a mask."""
    if model.get("learned_mask_prior") or ("mask_prior_a" in model and "mask_prior" not in model):
        prior = f"learned, Beta({model['mask_prior_a']:g}, {model['mask_prior_b']:g})"
        words = "each entry learns how likely it is to be open; a larger second number is sparser"
    elif "mask_prior" in model:
        prior = _text(model["mask_prior"])
        words = "share of mask entries expected open before seeing data"
    else:
        return []
    return [("Mask prior", prior, words)]


def _mask_training(config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The row about the phases of training; for SAMS-VAE alone."""
    if config["family"] != "sams_vae":
        return []
    if config["training"].get("effects_fraction"):
        return [
            (
                "Mask trained",
                "in phases",
                "first what perturbations do, then the axes on which that is sparsest, then the "
                "mask; closed entries are dropped at last",
            )
        ]
    return [("Mask trained", "throughout", "together with all else, from the first step")]


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
