"""Whether intervals of combinations cover the truth, on screens with planted interactions.

``python -m benchmarks.planted_interactions [SEED ...]`` (by default 0, 1 and 2; about a minute a
seed on two idle cores) prints Markdown. For each seed it simulates a screen
(:mod:`benchmarks.planted_screen`), trains SAMS-VAE with the project's defaults on half of the
measured pairs, and judges 216 pairs that have no cells at all against their true effects: by the
posterior's own intervals and by those calibrated to the other half of the measured pairs.

* *effect*, *changed genes*, *interaction*: share of genes whose 90 % interval has the true effect
  of the pair (of all genes; of those that truly change by 0.1 log2 units or more) or the true
  deviation from the sum of the singles;
* *along the sum*: share of pairs whose interval has the true interaction along the sum;
* *called*: share of pairs whose interval calls what was planted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.planted_screen import KINDS, Planted, plant, planted_screen, true_effects
from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.interval_calibration import (
    InteractionCall,
    IntervalScale,
    along_sum,
    interaction_call,
    sum_of_singles,
)
from sams_core.analysis.interval_conditions import calibrate_intervals
from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.data.splits import SplitConfig
from sams_core.perturbation_model import PerturbationModel

CHANGED = 0.1
"""Genes whose true effect is at least this, log2 units, count as changed."""
MEASURES = ("effect", "changed genes", "interaction", "along the sum", "called")
SCALES = ("posterior", "calibrated")


def train(screen: Screen, seed: int) -> SAMSVAE:
    """Train with defaults; half of the pairs, and a fifth of all other cells, are held out."""
    model = SAMSVAE(screen, split=SplitConfig(kind="ood_combinations", seed=seed), seed=seed)
    return model.train(progress=False)


def judge(
    model: PerturbationModel, truth: Planted, scales: Sequence[IntervalScale], *, seed: int = 0
) -> pd.DataFrame:
    """Hold intervals against the truth, pair by pair.

    Parameters
    ----------
    model
        A trained model.
    truth
        Whose unmeasured pairs are predicted.
    scales
        Ways to make intervals.
    seed
        Of the true effects' states.

    Returns
    -------
    One row for each pair and scale: ``kind`` as planted, ``scale`` (its number) and
    :data:`MEASURES`, of which those of genes are shares of them.
    """
    n = len(truth.names)
    members: list[tuple[int, ...]] = [*((t,) for t in range(n)), *truth.unmeasured]
    effects = true_effects(truth, members, seed=seed)
    rows = []
    for pair, double in zip(truth.unmeasured, effects[n:], strict=True):
        names = [str(name) for name in truth.names[list(pair)]]
        singles = effects[list(pair)]
        table = predict_combination(model, names).table
        draws = combination_draws(model, names)
        share = float(along_sum(np.array([*singles, double]), sum_of_singles(draws)))
        for number, scale in enumerate(scales):
            wide = scale.widen(table)
            covered = _inside(wide, "predicted", double)
            call = interaction_call(draws, scale)
            values = (
                covered.mean(),
                covered[np.abs(double) >= CHANGED].mean(),
                _inside(wide, "interaction", double - singles.sum(0)).mean(),
                float(call.lower <= share <= call.upper),
                float(_called(call) == truth.kind(pair)),
            )
            row = {"kind": truth.kind(pair), "scale": number}
            rows.append(row | dict(zip(MEASURES, map(float, values), strict=True)))
    return pd.DataFrame(rows)


def summary(judged: pd.DataFrame) -> pd.DataFrame:
    """Average the rows of :func:`judge` by kind and over all: one row each, one column a scale."""
    pooled = pd.concat([judged, judged.assign(kind="all")])
    means = pooled.pivot_table(index="kind", columns="scale", values=list(MEASURES))
    counts = pooled.groupby("kind").size() // judged["scale"].nunique()
    return means.assign(pairs=counts).loc[[*KINDS, "all"]]


def as_markdown(tables: dict[str, pd.DataFrame]) -> str:
    """Tables of :func:`summary` by name as one Markdown table, ``posterior -> calibrated``."""
    lines = [
        f"| | planted | pairs | {' | '.join(MEASURES)} |",
        "|" + "---|" * (3 + len(MEASURES)),
    ]
    for name, table in tables.items():
        for kind, row in table.iterrows():
            cells = [
                " → ".join(f"{row[measure][number]:.0%}" for number in range(len(SCALES)))
                for measure in MEASURES
            ]
            pairs = int(row["pairs"].iloc[0])
            lines.append(f"| {name} | {kind} | {pairs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _called(call: InteractionCall) -> str:
    """What the interval says, also where nothing checks it."""
    if call.lower <= 0 <= call.upper:
        return "none"
    return "synergy" if call.share > 0 else "suppression"


def _inside(
    table: pd.DataFrame, name: str, truth: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    lower, upper = (table[f"{name}_{side}"].to_numpy() for side in ("lower", "upper"))
    return np.asarray((lower <= truth) & (truth <= upper))


def main(seeds: Sequence[int]) -> None:
    """Judge a screen of each seed and print what came out."""
    found: dict[str, pd.DataFrame] = {}
    for seed in seeds:
        started = time.perf_counter()
        truth = plant(seed=seed)
        screen = planted_screen(truth, seed=seed)
        model = train(screen, seed)
        trained = time.perf_counter()
        scale = calibrate_intervals(model, screen)
        calibrated = time.perf_counter()
        found[f"seed {seed}"] = judge(model, truth, [IntervalScale(), scale], seed=seed)
        print(
            f"seed {seed}: {screen.n_cells:,} cells; training {trained - started:.0f} s, "
            f"calibration {calibrated - trained:.1f} s by {scale.n_conditions} held-out pairs, "
            f"judging {time.perf_counter() - calibrated:.0f} s",
            flush=True,
        )
    found["all seeds"] = pd.concat(found.values())
    print(as_markdown({name: summary(judged) for name, judged in found.items()}))


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [0, 1, 2])
