"""How well masks are found, and found again by another seed: tables of finished sweeps.

``python -m benchmarks.mask_study SWEEP [SWEEP ...]`` prints Markdown and trains nothing. Entries
are open from an inclusion probability of 0.5.

* *mask F1*, *precision*, *recall*: of open entries against the simulated mask, latents matched by
  assignment.
* *seed agreement*: mean Jaccard index of the masks of two seeds, latents matched by assignment on
  effects and decoder responses (:mod:`sams_core.analysis.agreement`).
* *pathway accuracy*: of logistic regression (or a forest) on perturbations' mask probabilities,
  perturbations held out.
* calibration: entries of all seeds by the probability reported, and how many of them are real.

Of the Papalexi screen also Jaccard indices of a perturbation's open latents in two seeds, and
within a seed:

* *arm*: mean over pairs of STAT1, JAK2, IFNGR1 and IFNGR2;
* *SMAD4 with the arm*: the largest between SMAD4 and one of these;
* *weak, open*: open entries of the 15 perturbations with few or no differential genes.

and effects: Pearson correlation of the model's ATE (library sizes drawn from the training cells')
with the effect in held-out cells, as a share of the ceiling, which is the correlation of the
training cells' effect with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.agreement import Agreement
from sams_core.analysis.calibration import Calibration, reliability_table
from sams_core.analysis.comparison import paper_table, tidy
from sams_core.analysis.comparison_text import as_text, markdown
from sams_core.analysis.condition_effects import effects_table
from sams_core.analysis.evaluation_files import MASKED_FAMILIES, read_runs
from sams_core.analysis.masks import OPEN
from sams_core.analysis.metrics import mean_cross_jaccard, mean_pairwise_jaccard
from sams_core.analysis.score_names import NOTHING, mean_and_sd
from sams_core.analysis.stability import agreement_of
from sams_core.api import load_model
from sams_core.data import Screen
from sams_core.errors import CheckpointError, SamsError
from sams_core.sweep.folder import open_screen, read_plan

Evaluation = Mapping[str, Any]

ARM = ["STAT1", "JAK2", "IFNGR1", "IFNGR2"]
STRONG = [*ARM, "SMAD4"]
WITH_EFFECT = [*STRONG, "SPI1", "IRF1", "MYC", "CUL3", "BRD4"]
MASK_METRICS = (
    "mask_f1", "mask_precision", "mask_recall", "mask_share_open", "iwelbo", "pearson", "seconds",
)  # fmt: skip
PATHWAY_METRICS = ("pathway_accuracy", "pathway_accuracy_forest")


def mask_table(evaluations: Sequence[Evaluation], agreement: Mapping[str, str]) -> pd.DataFrame:
    """Masks, likelihood and effects of each model of one screen, and the ceiling of effects.

    Parameters
    ----------
    evaluations
        Of all models and seeds, split alike.
    agreement
        Agreement between seeds by model, as text.
    """
    table = paper_table(evaluations, metrics=MASK_METRICS)
    table = table[table["kind"] != "baseline"]
    text = as_text(table).drop(columns="inference")
    if "mask_f1" in table:
        text.insert(2, "F1 of each seed", _of_models(table, f1_of_each_seed(evaluations)))
    text.insert(list(text).index("test IWELBO"), "seed agreement", _of_models(table, agreement))
    return text


def f1_of_each_seed(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Mask F1 by model, of its seeds in ascending order."""
    table = tidy(sorted(evaluations, key=lambda each: each["seed"]))
    found = table[(table["metric"] == "mask_f1") & table["value"].notna()]
    return {
        str(model): ", ".join(f"{value:.3f}" for value in part["value"])
        for model, part in found.groupby("model")
    }


def _of_models(table: pd.DataFrame, values: Mapping[str, str]) -> list[str]:
    is_model = table["kind"] == "model"
    return [
        values.get(name, NOTHING) if known else NOTHING
        for name, known in zip(table["model"], is_model, strict=True)
    ]


def pathway_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame | None:
    """Pathway accuracy of each model's mask beside what it has to beat.

    None where the screen has no pathways.
    """
    table = paper_table(evaluations, metrics=PATHWAY_METRICS)
    if "pathway_accuracy" not in table:
        return None
    return as_text(table[table["pathway_accuracy"].notna()]).drop(columns="inference")


def calibration_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame | None:
    """Entries of all seeds by the inclusion probability reported, and the share that is real.

    None where the truth is not known.
    """
    rows = []
    for model, group in by_model(evaluations).items():
        found = [(each["mask"] or {}).get("calibration") for each in group]
        calibrations = [Calibration.from_summary(each) for each in found if each]
        if calibrations:
            table = reliability_table(pooled(calibrations))
            rows += [
                {
                    "model": model,
                    "reported": str(reported),
                    "entries": f"{row['n']:,.0f}",
                    "mean probability": f"{row['mean_probability']:.3f}",
                    "share real": f"{row['share_real']:.3f}",
                }
                for reported, row in table.iterrows()
            ]
    return pd.DataFrame(rows) if rows else None


def pooled(calibrations: Sequence[Calibration]) -> Calibration:
    """Count the entries of several masks together."""
    bins = pd.concat([each.bins for each in calibrations])
    bins["mean_probability"] *= bins["n"]
    total = bins.groupby(["lower", "upper"], as_index=False).sum()
    total["mean_probability"] /= total["n"]
    return Calibration(total, sum(each.n_unpaired for each in calibrations))


def arm_scores(mask: pd.DataFrame) -> dict[str, float]:
    """What one seed's mask says of the Papalexi screen: Jaccard indices and open entries.

    Parameters
    ----------
    mask
        (T, L) inclusion probabilities, rows named by perturbation.
    """
    is_open = mask > OPEN
    smad4 = is_open.loc[["SMAD4"]].to_numpy()
    n_open = is_open.sum(axis=1)
    return {
        "arm": mean_pairwise_jaccard(is_open.loc[ARM]),
        "SMAD4 with the arm": max(
            mean_cross_jaccard(is_open.loc[[gene]].to_numpy(), smad4) for gene in ARM
        ),
        "arm, open": float(n_open[ARM].sum()),
        "SMAD4, open": float(n_open["SMAD4"]),
        "IRF1, open": float(n_open["IRF1"]),
        "weak, open": float(n_open.drop(WITH_EFFECT).sum()),
        "all, open": float(n_open.sum()),
    }


def jaccard_between(agreement: Agreement, names: list[str]) -> npt.NDArray[np.float64]:
    """Jaccard index of perturbations' open latents in two seeds, whose latents are matched.

    Parameters
    ----------
    agreement
        Of N seeds.
    names
        Perturbations.

    Returns
    -------
    (N (N - 1) / 2, len(names)) in [0, 1]; 0 where neither seed opens anything.
    """
    own = [mask.loc[names] >= np.float32(agreement.threshold) for mask in agreement.masks]
    found = np.empty((0, len(names)))
    for i, j in combinations(range(len(own)), 2):
        both = (own[i] & agreement.opened_as(i, j).loc[names]).sum(axis=1).to_numpy()
        either = own[i].sum(axis=1).to_numpy() + own[j].sum(axis=1).to_numpy() - both
        found = np.vstack([found, both / np.maximum(either, 1)])
    return found


def between_seeds(agreement: Agreement) -> list[dict[str, float]]:
    """Jaccard indices of the strong perturbations in each pair of seeds."""
    rows = []
    for values in jaccard_between(agreement, STRONG):
        row = dict(zip(STRONG, map(float, values), strict=True))
        rows.append({"mean of the arm": float(values[: len(ARM)].mean()), **row})
    return rows


def shares_of_ceiling(evaluation: Evaluation, screen: Screen) -> dict[str, float]:
    """ATE Pearson as percentages of the ceiling: of all conditions, and of each strong one."""
    scores = {
        score["kind"]: score["value"]
        for score in evaluation["scores"]
        if (score["metric"], score["scope"]) == ("pearson", "all") and score["kind"] != "baseline"
    }
    rows = effects_table(load_model(evaluation["folder"]), screen).obs.loc[STRONG]
    shares = 100 * rows["pearson"] / rows["ceiling"]
    return {
        "all": 100 * scores["model"] / scores["ceiling"],
        **{str(gene): float(share) for gene, share in shares.items()},
    }


def mean_table(
    rows: Mapping[str, Sequence[Mapping[str, float]]], digits: int, counted: str = "n"
) -> pd.DataFrame:
    """Mean and standard deviation of figures by model.

    Parameters
    ----------
    rows
        By model, the figures of each of its seeds or pairs of seeds; models without are left out.
    digits
        Decimals.
    counted
        Heading of the number of rows.
    """
    text = []
    for model, each in rows.items():
        figures = pd.DataFrame(list(each))
        summary = zip(figures.columns, figures.mean(), figures.std(), strict=True)
        cells = {name: mean_and_sd(mean, sd, digits) for name, mean, sd in summary}
        if cells:
            text.append({"model": model, **cells, counted: str(len(each))})
    return pd.DataFrame(text)


def by_model(evaluations: Iterable[Evaluation]) -> dict[str, list[Evaluation]]:
    """Evaluations of models with a mask by the model's name, in the order of their seeds."""
    groups: dict[str, list[Evaluation]] = {}
    for each in sorted(evaluations, key=lambda each: (each["model"], each["seed"])):
        if each["family"] in MASKED_FAMILIES:
            groups.setdefault(each["model"], []).append(each)
    return groups


def report(folder: Path) -> str:
    """Every table of one sweep as Markdown.

    Raises
    ------
    CheckpointError
        When the folder is no sweep, or no run of it is finished.
    """
    plan = read_plan(folder)
    if plan is None:
        raise CheckpointError(f"There is no sweep in {folder}: check the path.")
    evaluations, left_out = read_runs([folder])
    groups = by_model(evaluations)
    agreements = {model: agreement_of(group) for model, group in groups.items()}
    agreed = {model: mean_and_sd(each.mean, each.sd, 3) for model, each in agreements.items()}
    tables: dict[str, pd.DataFrame | None] = {
        "": mask_table(evaluations, agreed),
        "Pathways:": pathway_table(evaluations),
        "Calibration:": calibration_table(evaluations),
    }
    masks = {model: each.masks for model, each in agreements.items()}
    if all(set(WITH_EFFECT) <= set(mask.index) for each in masks.values() for mask in each):
        screen = open_screen(folder, plan)
        between = {model: between_seeds(each) for model, each in agreements.items()}
        within = {model: [arm_scores(mask) for mask in each] for model, each in masks.items()}
        shares = {
            model: [shares_of_ceiling(each, screen) for each in group]
            for model, group in groups.items()
        }
        tables |= {
            "Jaccard index between seeds:": mean_table(between, 2, "pairs"),
            "Jaccard index and open entries within a seed:": mean_table(within, 2),
            "ATE Pearson, % of the ceiling:": mean_table(shares, 1),
        }
    parts = [f"### {plan.title}" + (" (simulated)" if plan.simulation else "")]
    if left_out:
        parts.append(f"Unfinished: {', '.join(left_out)}.")
    for heading, table in tables.items():
        if table is not None and len(table):
            parts += [heading] * bool(heading) + [markdown(table)]
    return "\n\n".join(parts)


def main() -> None:
    """Print the tables of every sweep that is named."""
    try:
        for folder in sys.argv[1:]:
            print(report(Path(folder)), end="\n\n")
    except SamsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
