"""Opening the explorer's pages on the embedded checkpoints: the server's time.

Pages are run by Streamlit's ``AppTest``, as a server runs them, without a browser. *Cold* is the
first run in a fresh process, imports of the page and its tables included; *warm* is a run with
everything imported and cached.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

from benchmarks.measure import Side, interleaved, race, timed
from benchmarks.opening import EMPTY, RUN, open_page, opening, sound
from benchmarks.report import Row
from sams_core.analysis import combination_tables as tables
from sams_core.analysis import combination_trust
from sams_core.analysis.combination_doses import find_condition
from sams_core.analysis.combination_genes import describe_prediction, with_symbols
from sams_core.analysis.interval_calibration import interval_scale
from sams_core.explorer import catalogue, run, warm
from sams_core.explorer.navigation import PAGES
from sams_core.figures import combine, effects


def page_rows(quick: bool) -> list[Row]:
    """Every page cold and warm, and the Combine page with another pair."""
    cold = {name: cold_seconds(name, 1 if quick else 3) for name in (EMPTY, *PAGES)}
    done = race(
        {
            "pages": Side(warm_pages, (5 if quick else 15,)),
            "pair": Side(another_pair, (5 if quick else 9,)),
        },
        repeats=1,
        warm_ups=0,
    )
    warm = done["pages"].result
    rows = [
        Row(f"{title_of(name)} page, {how}, server", "ms", 1e3 * seconds[name],
            floor=1e3 * seconds[EMPTY])
        for how, seconds in (("cold", cold), ("warm", warm))
        for name in PAGES
    ]  # fmt: skip
    page, compute, empty = (1e3 * seconds for seconds in done["pair"].result)
    rows.append(
        Row(
            "Combine page, another pair, server", "ms", page, floor=empty + compute, of_floor=2,
            note=f"floor: an empty page ({empty:.0f} ms) and the page's own compute "
            f"({compute:.0f} ms)",
        )
    )  # fmt: skip
    return rows


def title_of(page: str) -> str:
    """What the explorer calls a page."""
    return PAGES[page][0]


def cold_seconds(page: str, repeats: int) -> float:
    """Median seconds of the first run of a page in a fresh process."""
    return median(
        race({page: Side(opening, (page,), fresh=True)}, repeats=1, warm_ups=0)[page].median
        for _ in range(repeats)
    )


def warm_pages(repeats: int) -> Callable[[], dict[str, float]]:
    """Return what measures all pages warm: median seconds by name."""

    def run_() -> dict[str, float]:
        apps = {page: open_page(page) for page in (EMPTY, *PAGES)}
        warm.warm_up().join()
        calls = {page: timed(app.run) for page, app in apps.items()}
        return {page: median(times) for page, times in interleaved(calls, repeats, 2).items()}

    return run_


def another_pair(repeats: int) -> Callable[[], tuple[float, float, float]]:
    """Return what measures the Combine page with a pair that nobody has asked for.

    Median seconds of the page, of what it computes, and of an empty page.
    """

    def run_() -> tuple[float, float, float]:
        warm.warm_up().join()
        empty, page = open_page(EMPTY), open_page("combine")
        shown = run.open_run(_entry())
        names = [str(name) for name in shown.config["perturbations"]]
        pairs = ([a, b] for a in names for b in names if a < b)
        model, number = shown.model(), count()

        def ask() -> None:
            sound(page.multiselect(key="combine").set_value(next(pairs)).run())

        def compute() -> None:
            own_compute(shown, model, [names[0], names[1 + next(number) % (len(names) - 1)]])

        calls = {"page": timed(ask), "compute": timed(compute), "empty": timed(empty.run)}
        times = interleaved(calls, repeats, 2)
        return median(times["page"]), median(times["compute"]), median(times["empty"])

    return run_


def own_compute(shown: run.Run, model: Any, chosen: list[str]) -> None:
    """What the Combine page computes of a pair and draws: its tables, sentences and figures."""
    from sams_core.analysis.combinations import predict_combination

    table, masks = shown.effects(), shown.masks()
    doses = dict.fromkeys(chosen, 1.0)
    prediction = interval_scale(shown.metrics()).widen(predict_combination(model, chosen).table)
    condition = find_condition(table, chosen, doses)
    frame = tables.add_measurement(prediction, table, condition, cells="all")
    frame = with_symbols(frame, table)
    describe_prediction(frame)
    tables.describe_interaction(frame)
    combination_trust.training_arms(table, masks, doses)
    combination_trust.nearest_training(table, masks, doses)
    tables.extrapolation(masks, table, doses)
    combine.combination_dots(frame, chosen)
    if condition is None:
        combine.interaction_scatter(frame)
    else:
        tables.describe_measurement(frame, table.obs.loc[condition], "all cells")
        effects.effect_scatter(
            tables.as_effects(frame), x_title="Measured", y_title="Predicted", height=520
        )


def _entry() -> catalogue.Entry:
    found = catalogue.lookup(catalogue.find([catalogue.DEMO_FOLDER]), RUN)
    assert found is not None
    return found
