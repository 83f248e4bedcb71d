"""Over-representation of genes or perturbations in gene sets, computed offline by gseapy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from sams_core.analysis.effect_tables import listed

ALPHA = 0.05
"""False discovery rate below which a set is called enriched."""
MIN_SET_SIZE = 2
"""Sets with fewer members in the background are not tested."""
COLUMNS = (
    "collection",
    "set",
    "overlap",
    "set_size",
    "expected",
    "odds_ratio",
    "p_value",
    "fdr",
    "members",
)


@dataclass(frozen=True)
class Enrichment:
    """Gene sets in which a list is over-represented, and what it was compared with.

    Attributes
    ----------
    table
        One row a set that shares a name with the list, smallest p-value first: ``collection``,
        ``set``, ``overlap`` (names in both), ``set_size`` (in the background), ``expected``
        overlap by chance, ``odds_ratio`` (0.5 added to each cell of the 2 x 2 table), ``p_value``
        (one-sided Fisher test), ``fdr`` (Benjamini-Hochberg over all ``n_tested`` sets, those
        without overlap included) and ``members`` (the shared names, in the list's order).
    n_chosen
        Different names of the list that are in the background.
    n_outside
        Those that are not, and are left out.
    n_background
        Different names in the background.
    n_tested
        Sets with at least `MIN_SET_SIZE` members in the background.
    finding
        What was found, and against which background, in plain words.
    """

    table: pd.DataFrame
    n_chosen: int
    n_outside: int
    n_background: int
    n_tested: int
    finding: str

    @property
    def enriched(self) -> pd.DataFrame:
        """Rows of the table below an FDR of `ALPHA`."""
        return self.table[self.table["fdr"] < ALPHA]


def enrich(
    chosen: Iterable[str],
    collections: Mapping[str, Mapping[str, Sequence[str]]],
    background: Iterable[str],
    *,
    kind: str = "assayed genes",
) -> Enrichment:
    """Test in which gene sets a list of names is over-represented.

    The p-value is the upper tail of the hypergeometric distribution: that of as many or more
    shared names when as many were drawn from the background without looking. gseapy corrects for
    the sets that share a name only; here all sets that could have been found count.

    Parameters
    ----------
    chosen
        Names of the genes, or of the perturbations' target genes.
    collections
        Collections of gene sets by name, each set's name to its members.
    background
        Every name that could have been chosen: the assayed genes, or the screen's perturbations.
    kind
        What the background is, in the plural, for the sentence.
    """
    universe = set(map(str, background))
    named = list(dict.fromkeys(map(str, chosen)))
    inside = [name for name in named if name in universe]
    tested = _testable(collections, universe)
    rows = _rows(inside, tested, universe)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    p_values = np.ones(len(tested))
    p_values[: len(table)] = table["p_value"]
    if len(table):
        table["fdr"] = stats.false_discovery_control(p_values, method="bh")[: len(table)]
    table = table.sort_values(["p_value", "overlap"], ascending=[True, False], kind="stable")
    table = table.reset_index(drop=True)
    finding = _finding(table, len(inside), len(named) - len(inside), len(universe), tested, kind)
    return Enrichment(
        table, len(inside), len(named) - len(inside), len(universe), len(tested), finding
    )


def _testable(
    collections: Mapping[str, Mapping[str, Sequence[str]]], universe: set[str]
) -> dict[tuple[str, str], list[str]]:
    """Members in the background of each (collection, set) that has enough of them."""
    found = {
        (collection, name): [gene for gene in dict.fromkeys(genes) if gene in universe]
        for collection, sets in collections.items()
        for name, genes in sets.items()
    }
    return {key: genes for key, genes in found.items() if len(genes) >= MIN_SET_SIZE}


def _rows(
    inside: list[str], tested: dict[tuple[str, str], list[str]], universe: set[str]
) -> list[dict[str, object]]:
    if not inside or not tested:
        return []
    from gseapy.stats import calc_pvalues  # imports much that a page may never need

    results = zip(*calc_pvalues(inside, tested, universe), strict=True)
    return [
        {
            "collection": key[0],
            "set": key[1],
            "overlap": int(overlap),
            "set_size": int(size),
            "expected": len(inside) * size / len(universe),
            "odds_ratio": float(odds),
            "p_value": float(p_value),
            "fdr": 1.0,
            "members": ", ".join(name for name in inside if name in hits),
        }
        for key, p_value, odds, overlap, size, hits in results
    ]


def _finding(
    table: pd.DataFrame,
    n_inside: int,
    n_outside: int,
    n_background: int,
    tested: Mapping[tuple[str, str], list[str]],
    kind: str,
) -> str:
    against = f"Background: the {n_background:,} {kind}."
    if n_outside:
        verb = "is" if n_outside == 1 else "are"
        against += f" {n_outside:,} of the list {verb} not among them and left out."
    if not n_inside:
        return f"There is nothing to test: no name of the list is among the {kind}. {against}"
    if not tested:
        return (
            f"There is nothing to test: no gene set has {MIN_SET_SIZE} or more of the {kind}. "
            f"{against}"
        )
    against += f" FDR over {len(tested):,} gene sets with {MIN_SET_SIZE} or more of them."
    hits = table[table["fdr"] < ALPHA]
    if hits.empty:
        of = "one name" if n_inside == 1 else f"{n_inside:,} names"
        return f"No gene set is enriched among {of} at an FDR of {ALPHA:.0%}. {against}"
    first = hits.iloc[0]
    verb = "is" if len(hits) == 1 else "are"
    return (
        f"{listed(hits['set'], limit=3)} {verb} enriched at an FDR of {ALPHA:.0%}; {first['set']} "
        f"holds {first['overlap']} of {n_inside:,} where {first['expected']:.1f} are expected by "
        f"chance. {against}"
    )
