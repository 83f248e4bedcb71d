"""What the figures of an evaluation are called, how they are written, and which way is better."""

from __future__ import annotations

import math
from dataclasses import dataclass

NOTHING = "–"
"""Stands where a figure is undefined."""


@dataclass(frozen=True)
class Metric:
    """A figure of an evaluation.

    Attributes
    ----------
    title
        Heading of its column.
    digits
        Decimals worth showing.
    direction
        1 where higher is better, -1 where lower is, 0 where neither.
    label
        The title in full, where there is room; the title itself by default.
    """

    title: str
    digits: int = 3
    direction: int = 1
    label: str = ""

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better."""
        return self.direction > 0


SCORES: dict[str, Metric] = {
    "pearson": Metric("ATE Pearson"),
    "pearson_mean": Metric("ATE Pearson, mean counts"),
    "r2": Metric("R2", label="ATE R²"),
    "rmse": Metric("RMSE", direction=-1, label="ATE RMSE (log2)"),
    "pearson_change": Metric("Pearson", label="Pearson of the change"),
    "pearson_change_top20": Metric("Pearson, top 20", label="Pearson of the change, top 20 genes"),
    "pearson_change_top1000": Metric(
        "Pearson, top 1000", label="Pearson of the change, top 1,000 genes"
    ),
    "rmse_top20": Metric("RMSE, top 20", direction=-1, label="RMSE, top 20 genes (log2)"),
    "rmse_top1000": Metric("RMSE, top 1000", direction=-1, label="RMSE, top 1,000 genes (log2)"),
    "e_distance": Metric("E-distance", direction=-1),
    "retrieval_rank": Metric(
        "retrieval rank", direction=-1, label="Retrieval rank (0 best, 0.5 chance)"
    ),
    "de_overlap": Metric("called genes, overlap", label="Called genes found"),
    "de_direction": Metric("called genes, direction", label="Called genes in the right direction"),
}
"""Scores of predicted effects, by their name in an evaluation."""

METRICS: dict[str, Metric] = {
    "iwelbo": Metric("test IWELBO", 2),
    "mask_f1": Metric("mask F1"),
    "pathway_accuracy": Metric("pathway accuracy"),
    **{name: SCORES[name] for name in ("pearson", "pearson_mean")},
    "mask_precision": Metric("mask precision"),
    "mask_recall": Metric("mask recall"),
    "mask_mcc": Metric("latent MCC"),
    "mask_ece": Metric("mask calibration error", direction=-1),
    "mask_share_open": Metric("mask share open", direction=0),
    "seed_agreement": Metric("seed agreement", 2),
    "pathway_accuracy_forest": Metric("pathway accuracy, forest"),
    **SCORES,
    "coverage_90": Metric("90% interval coverage", direction=0),
    "share_p_below_0.05": Metric("share p < .05", direction=0),
    "seconds": Metric("training seconds", 0, direction=-1),
}
"""Every figure in the order of tables, the paper's first."""


def metric_of(name: str) -> Metric:
    """What is known of a figure; its own name as the title where nothing is."""
    return METRICS.get(name, Metric(name.replace("_", " "), direction=0))


def metric_label(name: str, n_genes: int) -> str:
    """A figure's title in full; "all 400 genes" where a screen has fewer genes than its top.

    Parameters
    ----------
    name
        One of :data:`METRICS`.
    n_genes
        Genes of the screen.
    """
    metric = METRICS[name]
    label = metric.label or metric.title
    top = name.rpartition("_top")[2]
    if top.isdigit() and n_genes <= int(top):
        return label.replace(f"top {int(top):,} genes", f"all {n_genes:,} genes")
    return label


def mean_and_sd(mean: float, sd: float, digits: int) -> str:
    """Write "mean ± sd", the mean alone for one run, or a dash where there is nothing."""
    if not math.isfinite(mean):
        return NOTHING
    return f"{mean:,.{digits}f}" + (f" ± {sd:.{digits}f}" if math.isfinite(sd) else "")
