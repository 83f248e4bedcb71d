"""Python that makes the figures of the effects page again; see `sams_core.explorer.snippets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sams_core.analysis.effect_tables import Cells


class Statistics(NamedTuple):
    """The table behind one condition's figures.

    Attributes
    ----------
    condition
        The condition.
    cells
        Cells in which effects were measured.
    n_control
        Control cells among them.
    genes
        Those to show; all by default.
    """

    condition: str
    cells: Cells
    n_control: int
    genes: Sequence[str] | None

    def figure(
        self, module: str, function: str, *, surprising: bool = False, **options: object
    ) -> str:
        """Python of a figure of this table.

        Parameters
        ----------
        module, function
            Where the figure is made, in `sams_core.figures`.
        surprising
            Whether the most surprising genes come first.
        **options
            Of the figure.
        """
        names = ["gene_statistics", *(["most_surprising"] if surprising else [])]
        lines = [
            f"from sams_core.analysis.effect_statistics import {', '.join(names)}",
            f"from sams_core.figures.{module} import {function}",
            "",
            "table = gene_statistics(",
            f"    model, effects, {self.condition!r}, cells={self.cells!r}, "
            f"n_control={self.n_control}",
            ")",
        ]
        if self.genes is not None:
            lines.append(f"table = table.loc[{list(self.genes)!r}]")
        if surprising:
            lines.append("table = most_surprising(table)")
        return "\n".join([*lines, f"fig = {function}({call('table', **options)})"])


def one_gene(gene: str, cells: Cells, *, alpha: float, limit: int) -> str:
    """Python of the figure of one gene's effects."""
    return "\n".join(
        [
            "from sams_core.analysis.effect_tables import gene_table",
            "from sams_core.figures.effects import gene_dots",
            "",
            f"table = gene_table(effects, {gene!r}, cells={cells!r})",
            f"fig = gene_dots({call('table', gene=gene, alpha=alpha, limit=limit)})",
        ]
    )


def fits() -> str:
    """Python of the figure of all conditions' fits."""
    return "\n".join(
        [
            "from sams_core.analysis.effect_tables import fit_table",
            "from sams_core.figures.effects import fit_scatter",
            "",
            "fig = fit_scatter(fit_table(effects))",
        ]
    )


class GeneListCode(NamedTuple):
    """The table behind the figures of a gene list.

    Attributes
    ----------
    genes
        The list.
    cells
        Cells in which effects were measured.
    alpha
        FDR below which a gene is significant.
    sort
        Columns whose larger absolute value sets the order.
    """

    genes: Sequence[str]
    cells: Cells
    alpha: float
    sort: tuple[str, str]

    def _table(self, functions: str, figure: str) -> list[str]:
        return [
            f"from sams_core.analysis.effect_gene_lists import {functions}",
            f"from sams_core.figures.effect_lists import {figure}",
            "",
            f"genes = {list(self.genes)!r}",
            f"table = gene_list_table(effects, genes, cells={self.cells!r}, alpha={self.alpha!r})",
            f"table = by_size(table, {self.sort!r})",
        ]

    def dots(self, **options: object) -> str:
        """Python of the figure of mean effects."""
        lines = self._table("by_size, gene_list_table", "list_dots")
        return "\n".join([*lines, f"fig = list_dots({call('table', **options)})"])

    def heatmap(self, limit: int, measured_in: str) -> str:
        """Python of the heatmap."""
        lines = self._table("by_size, effect_matrices, gene_list_table", "effect_heatmap")
        return "\n".join(
            [
                *lines,
                f"shown = list(table.index[:{limit}])",
                f"matrices = effect_matrices(effects, shown, genes, cells={self.cells!r})",
                f"fig = effect_heatmap({call('*matrices', measured_in=measured_in)})",
            ]
        )


def call(first: str, **options: object) -> str:
    """Arguments of a call as Python text."""
    return ", ".join([first, *(f"{name}={value!r}" for name, value in options.items())])
