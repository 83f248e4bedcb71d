"""What the blocks of the combine page share: what was asked for, and what the model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from sams_core.analysis import effect_tables
from sams_core.analysis.combination_doses import find_condition
from sams_core.analysis.combination_genes import with_symbols
from sams_core.analysis.combination_tables import add_measurement
from sams_core.analysis.interval_calibration import IntervalScale, interval_scale
from sams_core.analysis.mask_tables import has_shift
from sams_core.explorer.caching import kept
from sams_core.explorer.run import Run

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.analysis.combination_background import Background
    from sams_core.perturbation_model import PerturbationModel


@dataclass(frozen=True)
class Cells:
    """Which cells a combination is predicted in.

    Attributes
    ----------
    words
        What they are, in the plural.
    rows
        Of the table of cells; None for unperturbed cells as the model draws them.
    groups
        Columns and values that make them up, of control cells; None for cells chosen by hand.
    """

    words: str
    rows: tuple[int, ...] | None = None
    groups: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class Asked:
    """What was asked for, in a form that caches can be keyed on.

    Attributes
    ----------
    doses
        Perturbations in the model's order, and the dose of each.
    cells
        The background.
    library_size
        Counts of a cell; None for those of the training cells.
    """

    doses: tuple[tuple[str, float], ...]
    cells: Cells
    library_size: float | None


@dataclass(frozen=True)
class CombinePage:
    """One visit of the combine page.

    Attributes
    ----------
    run
        The checkpoint.
    effects, masks
        Its tables; read-only.
    asked
        The combination.
    choice
        Which cells to hold the prediction against: "auto", "held-out" or "all".
    """

    run: Run
    effects: AnnData
    masks: AnnData
    asked: Asked
    choice: str

    @property
    def doses(self) -> dict[str, float]:
        """Dose of each perturbation."""
        return dict(self.asked.doses)

    @property
    def chosen(self) -> list[str]:
        """The perturbations, in the model's order."""
        return list(self.doses)

    @property
    def name(self) -> str:
        """The combination for people, with doses other than 1."""
        return "+".join(
            name if dose == 1 else f"{name} (dose {dose:g})" for name, dose in self.asked.doses
        )

    @property
    def file(self) -> str:
        """Start of the names of files."""
        return f"{self.run.name}_{'+'.join(self.chosen)}"

    @property
    def with_shift(self) -> bool:
        """Whether perturbations are shifts in the latent space."""
        return has_shift(self.masks)

    @property
    def model(self) -> PerturbationModel:
        """The model itself."""
        return self.run.model()

    @cached_property
    def scale(self) -> IntervalScale:
        """How much wider than the posterior's the checkpoint's intervals have to be."""
        return interval_scale(self.run.metrics())

    @property
    def told_intervals(self) -> str:
        """What the intervals rest on."""
        if "intervals" in self.run.metrics():
            return self.scale.sentence
        return (
            "Intervals are the posterior's own, and probably too narrow: this checkpoint was "
            "prepared without holding them against held-out cells. To have them checked, run "
            f"python -m sams_core prepare {self.run.folder.name}."
        )

    @cached_property
    def condition(self) -> str | None:
        """Name of the measured condition with this combination, if there is one."""
        return find_condition(self.effects, self.chosen, self.doses)

    @cached_property
    def measured_in(self) -> effect_tables.Cells:
        """Which of the measured cells the prediction is held against."""
        if self.condition is None:
            return "all"
        return effect_tables.resolve_cells(self.effects, self.condition, self.choice)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The prediction by gene symbol, with the measurement where there is one."""
        predicted = _predict(self.run.cache_key, self.asked, self)
        with_data = add_measurement(predicted, self.effects, self.condition, cells=self.measured_in)
        return with_symbols(with_data, self.effects)

    def background(self) -> Background | None:
        """The cells that the combination is predicted in, as the model takes them."""
        from sams_core.analysis.combination_background import background_cells

        cells = self.asked.cells
        if cells.rows is None:
            return None
        batches = self.run.config.get("batches")
        return background_cells(self.run.cells(), cells.rows, words=cells.words, batches=batches)

    def code(self, figure: str, *, imports: str = "", table: bool = True) -> str:
        """Python that makes a figure of this combination.

        Parameters
        ----------
        figure
            Lines that end in ``fig = ...``; may use ``table``, ``doses``, ``library_size`` and
            ``background``.
        imports
            Lines that import what they need.
        table
            Whether they use ``table``.
        """
        lines, needed = self._asked_lines()
        needed += imports.strip().splitlines()
        if table:
            needed += [
                "from sams_core.analysis.combination_genes import with_symbols",
                "from sams_core.analysis.combination_tables import add_measurement",
                "from sams_core.analysis.combinations import predict_combination",
                "from sams_core.analysis.interval_calibration import interval_scale",
                "import json",
            ]
            lines += [
                "prediction = predict_combination(",
                "    model, list(doses), doses=doses, library_size=library_size, "
                "background=background",
                ").table",
                'metrics = json.loads((folder / "explorer" / "metrics.json").read_text())',
                "prediction = interval_scale(metrics).widen(prediction)",
                "table = add_measurement(",
                f"    prediction, effects, {self.condition!r}, cells={self.measured_in!r}",
                ")",
                "table = with_symbols(table, effects)",
            ]
        return "\n".join([*sorted(set(needed)), "", *lines, figure.strip()])

    def _asked_lines(self) -> tuple[list[str], list[str]]:
        """Lines that define what was asked for, and the imports that they need."""
        asked = self.asked
        lines = [f"doses = {self.doses!r}", f"library_size = {asked.library_size!r}"]
        if asked.cells.rows is None:
            return [*lines, "background = None"], []
        needed = ["from sams_core.analysis.combination_background import background_cells"]
        rows = f"rows = {list(asked.cells.rows)!r}"
        if asked.cells.groups is not None:
            needed += ["from sams_core.analysis.combination_background import control_rows"]
            control = self.run.config["control"]
            rows = f"rows = control_rows(cells, {control!r}, {dict(asked.cells.groups)!r})"
        batches = self.run.config.get("batches")
        return [*lines, rows, f"background = background_cells(cells, rows, batches={batches!r})"], (
            needed
        )


def intervals(prediction: pd.DataFrame, page: CombinePage) -> pd.DataFrame:
    """The intervals that the page shows, made from the posterior's: the only place."""
    return page.scale.widen(prediction)


@kept(128)
def _predict(cache_key: str, asked: Asked, _page: CombinePage) -> pd.DataFrame:
    """Predict a combination; kept for everybody who asks the same of the same checkpoint."""
    from sams_core.analysis.combinations import predict_combination

    doses: Mapping[str, float] = dict(asked.doses)
    prediction = predict_combination(
        _page.model,
        list(doses),
        doses=doses,
        library_size=asked.library_size,
        background=_page.background(),
    )
    return intervals(prediction.table, _page)
