"""What was understood of a screen, as a person wants to read it before training on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sams_core.data.checks import plural
from sams_core.data.screen import Screen
from sams_core.data.totals import cells_detecting

LIBRARY_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class ScreenSummary:
    """Figures and sentences that describe a screen.

    Attributes
    ----------
    title
        File name, or ``screen`` for one from memory.
    n_cells, n_genes, n_perturbations, n_controls
        Sizes; ``n_controls`` counts control cells.
    n_unseen_genes
        Genes without a single count.
    n_singles, n_doubles, n_higher
        Conditions with one, two, and three or more perturbations.
    cells_per_condition
        Cells of every condition without the control, most first.
    library_sizes
        Quantiles of the total counts per cell, by their probability.
    batches, split
        Cells per batch and per split, where columns were named.
    """

    title: str
    simulated: bool
    n_cells: int
    n_genes: int
    n_unseen_genes: int
    n_perturbations: int
    control: str
    n_controls: int
    n_singles: int
    n_doubles: int
    n_higher: int
    cells_per_condition: pd.Series
    library_sizes: pd.Series
    counts_type: str
    share_zero: float
    batches: pd.Series | None
    split: pd.Series | None
    notes: list[str]
    warnings: list[str]

    def to_text(self, max_conditions: int = 30) -> str:
        """Plain text of at most 100 columns; long lists of conditions show both ends."""
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [self.title + (" (simulated)" if self.simulated else ""), ""]
        lines += [f"  {name:<{width}}  {text}" for name, text in rows]
        lines += ["", "Cells per condition", *self._condition_lines(max_conditions)]
        for heading, sentences in (("Understood", self.notes), ("Watch", self.warnings)):
            if sentences:
                lines += ["", heading, *(f"  - {sentence}" for sentence in sentences)]
        return "\n".join(lines)

    def rows(self) -> list[tuple[str, str]]:
        """What was counted, and in words how much of it."""
        cells, library = self.cells_per_condition, self.library_sizes
        unseen = f", {self.n_unseen_genes:,} of them never seen" if self.n_unseen_genes else ""
        rows = [
            ("cells", f"{self.n_cells:,}"),
            ("genes", f"{self.n_genes:,}{unseen}"),
            ("perturbations", f"{self.n_perturbations:,}"),
            ("controls", f"{plural(self.n_controls, 'cell')} labelled '{self.control}'"),
            ("singles", plural(self.n_singles, "condition")),
            ("doubles", plural(self.n_doubles, "condition")),
        ]
        if self.n_higher:
            rows.append(("three or more", plural(self.n_higher, "condition")))
        rows += [
            (
                "cells a condition",
                f"median {cells.median():,.0f}, from {cells.min():,} to {cells.max():,}",
            ),
            (
                "library size",
                f"median {library[0.5]:,.0f}, 90% of cells from {library[0.05]:,.0f} to "
                f"{library[0.95]:,.0f}, all from {library[0.0]:,.0f} to {library[1.0]:,.0f}",
            ),
            ("counts", f"{self.counts_type}, {self.share_zero:.1%} zeros"),
        ]
        for name, sizes in (("batches", self.batches), ("split", self.split)):
            if sizes is not None:
                rows.append((name, _listed(sizes)))
        return rows

    def _condition_lines(self, limit: int) -> list[str]:
        cells = self.cells_per_condition
        width = max(map(len, cells.index))
        lines = [f"  {name:<{width}}  {count:>7,}" for name, count in cells.items()]
        if len(lines) <= limit:
            return lines
        half = limit // 2
        return [*lines[:half], f"  ... {len(lines) - 2 * half:,} more ...", *lines[-half:]]


def summarise(screen: Screen) -> ScreenSummary:
    """Describe a screen: sizes, conditions, library sizes, and what was understood."""
    order = np.diff(screen.dosages.indptr)
    first = pd.Series(order).groupby(np.asarray(screen.conditions.codes)).first()
    sizes = np.bincount(first[first > 0].clip(upper=3), minlength=4)
    conditions = pd.Series(screen.conditions).value_counts(sort=False)
    perturbed = conditions.drop(screen.control, errors="ignore")
    perturbed = perturbed.sort_values(ascending=False, kind="stable")
    library = np.quantile(screen.library_size, LIBRARY_QUANTILES)
    return ScreenSummary(
        title=screen.source.name if screen.source else "screen",
        simulated=screen.simulated,
        n_cells=screen.n_cells,
        n_genes=screen.n_genes,
        n_unseen_genes=int((cells_detecting(screen.counts) == 0).sum()),
        n_perturbations=screen.n_perturbations,
        control=screen.control,
        n_controls=int(screen.is_control.sum()),
        n_singles=int(sizes[1]),
        n_doubles=int(sizes[2]),
        n_higher=int(sizes[3]),
        cells_per_condition=pd.Series(perturbed.to_numpy(), index=perturbed.index.astype(str)),
        library_sizes=pd.Series(library, index=LIBRARY_QUANTILES),
        counts_type=screen.counts.dtype.name,
        share_zero=1 - screen.counts.nnz / (screen.n_cells * screen.n_genes),
        batches=_sizes(screen.batch),
        split=_sizes(screen.split),
        notes=list(screen.notes),
        warnings=list(screen.warnings),
    )


def _sizes(groups: pd.Categorical | None) -> pd.Series | None:
    return None if groups is None else pd.Series(groups).value_counts(sort=False)


def _listed(sizes: pd.Series, limit: int = 6) -> str:
    listed = [f"{name} {count:,}" for name, count in sizes.items()]
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
