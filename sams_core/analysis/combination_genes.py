"""Genes of a predicted combination: which it moves, which sets they are of, what bends the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from sams_core.analysis.combination_tables import NEGLIGIBLE, detectable
from sams_core.analysis.effect_tables import gene_names, listed
from sams_core.analysis.enrichment import Enrichment, enrich

if TYPE_CHECKING:
    from anndata import AnnData

MAX_GENES = 50
SHARE_OF_GENES = 0.1
"""Largest share of all genes that are listed as moved in one direction."""

Quantity = Literal["predicted", "interaction"]
QUANTITIES: dict[str, Quantity] = {
    "Predicted shift": "predicted",
    "Deviation from the sum": "interaction",
}


def with_symbols(table: pd.DataFrame, effects: AnnData) -> pd.DataFrame:
    """Index a table by gene symbols instead of the model's names of the genes."""
    symbols = dict(zip(effects.var_names.astype(str), gene_names(effects), strict=True))
    named = table.rename(index=symbols)
    named.index.name = "gene"
    return named


def certain(table: pd.DataFrame, quantity: Quantity) -> pd.Series:
    """Genes whose shift is beyond its uncertainty and large enough to matter.

    The 90 % interval leaves out zero, the shift is beyond twice its Monte Carlo error, and at least
    `NEGLIGIBLE`.
    """
    if quantity == "interaction":
        return detectable(table)
    size = table[quantity].abs()
    outside = (table[f"{quantity}_lower"] > 0) | (table[f"{quantity}_upper"] < 0)
    return outside & (size > 2 * table[f"{quantity}_se"]) & (size >= NEGLIGIBLE)


def top_genes(table: pd.DataFrame, quantity: Quantity, sign: int) -> list[str]:
    """Genes that are certainly raised (``sign`` 1) or lowered (-1), the largest shift first."""
    moved = table[certain(table, quantity) & (np.sign(table[quantity]) == sign)]
    size = moved[quantity].abs().sort_values(ascending=False, kind="stable")
    limit = min(MAX_GENES, max(1, int(SHARE_OF_GENES * len(table))))
    return [str(gene) for gene in size.index[:limit]]


def evidence(table: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Shift of each gene and how it compares with its uncertainty.

    Returns
    -------
    DataFrame indexed by gene: ``shift`` (log2 units), ``lower`` and ``upper`` (90 % interval),
    ``sd`` (posterior standard deviation and Monte Carlo error together), ``ratio`` (size of the
    shift in such standard deviations) and ``certain``; largest shift first.
    """
    squares = table[[f"{quantity}_sd", f"{quantity}_se"]] ** 2
    sd = squares.sum(axis=1) ** 0.5
    found = pd.DataFrame(
        {
            "shift": table[quantity],
            "lower": table[f"{quantity}_lower"],
            "upper": table[f"{quantity}_upper"],
            "sd": sd,
            "ratio": table[quantity].abs() / sd.where(sd > 0),
            "certain": certain(table, quantity),
        }
    )
    order = found["shift"].abs().sort_values(ascending=False, kind="stable").index
    return found.loc[order]


def describe_prediction(table: pd.DataFrame) -> str:
    """Say how many genes the combination moves, and which most."""
    moved = table[certain(table, "predicted")]
    if moved.empty:
        return (
            f"The prediction moves none of {len(table):,} genes by {NEGLIGIBLE} or more and beyond "
            "its uncertainty."
        )
    parts = []
    for sign, verb in ((1, "raises"), (-1, "lowers")):
        names = top_genes(table, "predicted", sign)[:3]
        if names:
            most = [f"{name} ({shift:+.2f})" for name, shift in table["predicted"][names].items()]
            parts.append(f"{verb} {listed(most)} most")
    return (
        f"The prediction moves {len(moved):,} of {len(table):,} genes beyond its uncertainty; it "
        f"{' and '.join(parts)} (log2 units)."
    )


def gene_set_tests(
    table: pd.DataFrame,
    quantity: Quantity,
    collections: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, Enrichment]:
    """Test gene sets among the genes that are raised and among those that are lowered.

    Parameters
    ----------
    table
        A prediction, indexed by symbols; its genes are the background.
    quantity
        What raises and lowers them.
    collections
        Collections of gene sets by name.

    Returns
    -------
    Enrichment of ``raised`` and of ``lowered`` genes.
    """
    genes = [str(gene) for gene in table.index]
    return {
        name: enrich(top_genes(table, quantity, sign), collections, genes)
        for name, sign in (("raised", 1), ("lowered", -1))
    }


def network_share(table: pd.DataFrame) -> float:
    """Share of the detectable deviations that the decoder's network makes; NaN without any.

    The part of the sum of squared deviations that goes with the column ``network``; the rest goes
    with ``scale``. Below 0 or above 1 where both parts oppose each other.
    """
    hits = table[detectable(table)]
    total = float((hits["interaction"] ** 2).sum())
    if total == 0:
        return float("nan")
    return float((hits["network"] * hits["interaction"]).sum() / total)


def describe_parts(table: pd.DataFrame, *, with_shift: bool) -> str:
    """Say what a predicted deviation from the sum is made of.

    Parameters
    ----------
    table
        A prediction.
    with_shift
        Whether perturbations are shifts that add up in the latent space.
    """
    start = (
        "Latent shifts add up in this model by construction, so that all of a deviation is "
        "non-linearity of the decoder."
        if with_shift
        else "This model has no shifts that could add up: its decoder is told which perturbations "
        "a cell has, and makes of combinations unlike those in training what it may."
    )
    share = network_share(table)
    if not np.isfinite(share):
        return f"{start} None of it exceeds its uncertainty here."
    if share < 0:
        parts = "the scale makes all of it, and the network takes some of it away"
    elif share > 1:
        parts = "the network makes all of it, and the scale takes some of it away"
    else:
        parts = f"the network makes {share:.0%} of it and the scale {1 - share:.0%}"
    return (
        f"{start} Over the genes that deviate beyond their uncertainty, {parts}. Scale: expression "
        "is read as log2 of a share of the cell's counts, which cannot fall below 0 or add up to "
        "more than the whole. Network: what the trained decoder does beyond that."
    )
