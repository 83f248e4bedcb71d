"""Perturbation labels: from what people write in ``obs`` to sets of perturbations.

Conventions are recognised and told, never applied silently: ``A+ctrl`` (GEARS, CPA), ``A_B``
(scPerturb), guides that name their target (``STAT1g2``, ``sgSTAT1_1``), and the usual names of
control cells.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sams_core.data.checks import nearest, plural, quoted
from sams_core.data.options import ReaderOptions
from sams_core.errors import ScreenError

JOINER = "+"
"""Text between perturbations in a condition's name, whatever the file used."""

GUIDE = re.compile(r"^(?:sg)?(?P<target>.+?)(?:[_.-]?(?:sgRNA|sg|g|guide)[_.-]?\d+|_\d+)$")

_UNPERTURBED = (
    "ctrl control nt ntc nc non-targeting nontargeting non-target nontarget neg negative "
    "safe-targeting safetargeting safe-harbor safe-harbour scramble scrambled unperturbed"
)
_UNTREATED = "untreated vehicle dmso mock wt wild-type wildtype"
CONTROL_NAMES = tuple(frozenset(names.split()) for names in (_UNPERTURBED, _UNTREATED))
"""Names read as control when none is given; the second set only where the first is absent."""

_MISSING = frozenset({"", "nan", "<na>"})


@dataclass(frozen=True)
class Labels:
    """What the perturbation column says.

    Attributes
    ----------
    codes
        Index into ``parts`` of every cell, shape (n,).
    labels
        The distinct labels as written.
    parts
        For each label its perturbations as written, controls included (doses line up with them).
    controls
        Which parts mean control.
    control
        The canonical control label.
    separator
        The separator that was used.
    """

    codes: np.ndarray
    labels: list[str]
    parts: list[tuple[str, ...]]
    controls: frozenset[str]
    control: str
    separator: str
    collapsed: bool
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def perturbations(self, label: int) -> tuple[str, ...]:
        """Perturbations of a label, sorted, without controls or repeats."""
        return tuple(sorted(set(self.parts[label]) - self.controls))

    @property
    def names(self) -> pd.Index:
        """All perturbations, sorted."""
        return pd.Index(sorted({p for parts in self.parts for p in parts} - self.controls))


def looks_like_control(label: str) -> bool:
    """Whether a label is one of the usual names of control cells."""
    return any(_folded(label) in names for names in CONTROL_NAMES)


def read_labels(column: pd.Series, options: ReaderOptions) -> Labels:
    """Understand the perturbation column of a screen.

    Parameters
    ----------
    column
        One label a cell, indexed by cell name.
    options
        Control labels, separator, and whether guides are collapsed.

    Raises
    ------
    ScreenError
        If labels are missing or malformed, there is no control, or nothing but controls.
    """
    notes: list[str] = []
    warnings: list[str] = []
    text = _as_text(column)
    codes, uniques = pd.factorize(text, sort=True)
    labels = [str(label) for label in uniques]
    separator, whole = _choose_separator(labels, options, notes, warnings)
    parts = [(label,) if label in whole else _split(label, separator, column) for label in labels]
    targets = guide_targets({p for ps in parts for p in ps}) if options.collapse_guides else {}
    asked = options.control_labels
    if asked is not None:
        targets = {guide: target for guide, target in targets.items() if guide not in asked}
    parts = [tuple(targets.get(p, p) for p in ps) for ps in parts]
    counts = np.bincount(codes, minlength=len(labels))
    controls = _find_controls(parts, labels, counts, options, warnings)
    perturbing = {guide: target for guide, target in targets.items() if target not in controls}
    if perturbing:
        notes.append(
            f"Column '{column.name}' names guides: {plural(len(perturbing), 'guide')} collapsed "
            f"onto {plural(len(set(perturbing.values())), 'target')} (for example "
            f"'{min(perturbing)}' onto '{perturbing[min(perturbing)]}')."
        )
    is_control = [set(ps) <= controls for ps in parts]
    control = _canonical(parts, counts, is_control, asked)
    found = Labels(
        codes, labels, parts, controls, control, separator, bool(targets), notes, warnings
    )
    _tell_controls(found, counts, is_control, asked)
    _tell_combinations(found)
    _check_names(found, is_control, column)
    return found


def guide_targets(parts: Iterable[str]) -> dict[str, str]:
    """Map guides to their targets, if these labels are guides.

    They are when all but control labels end like a guide (``STAT1g2``, ``STAT1_g1``,
    ``sgSTAT1_1``, ``NTg1``), there are at least two targets, and one has several guides.

    Returns
    -------
    dict
        Guide to target; empty when the labels are not guides.
    """
    matches = {part: GUIDE.match(part) for part in parts}
    if not all(match or looks_like_control(part) for part, match in matches.items()):
        return {}
    targets = {part: match["target"] for part, match in matches.items() if match}
    n_targets = len(set(targets.values()))
    return targets if 2 <= n_targets < len(targets) else {}


def _folded(label: str) -> str:
    """Spelling without case, kind of dash, guide number, and a closing ``control``."""
    folded = re.sub(r"[\s_.-]+", "-", label.strip().casefold())
    folded = re.sub(r"(?<=.)(?:-(?:sg|g|guide)?|(?:sg|g))\d+$", "", folded)
    return re.sub(r"-?(?:controls?|ctrls?)$", "", folded) or "control"


def _as_text(column: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(column.dtype):
        raise ScreenError(
            f"Column '{column.name}' of obs holds numbers, not perturbation labels; name another "
            "column with perturbation_key."
        )
    text = column.astype("object").where(column.notna(), "").astype(str).str.strip()
    missing = text.str.casefold().isin(_MISSING).to_numpy()
    if missing.any():
        raise ScreenError(
            f"Column '{column.name}' of obs has no label for {plural(int(missing.sum()), 'cell')} "
            f"(first '{column.index[int(np.argmax(missing))]}'); fill in the labels or drop those "
            "cells."
        )
    return text


def _choose_separator(
    labels: list[str], options: ReaderOptions, notes: list[str], warnings: list[str]
) -> tuple[str, set[str]]:
    """Separator in use, and the labels that are to be kept whole."""
    asked = options.control_labels or ()
    whole = {label for label in labels if label in asked or looks_like_control(label)}
    separator = options.separator
    if not separator:
        raise ScreenError(
            "The separator is empty; pass the text between two perturbations, as '+'."
        )
    if separator != JOINER or any(JOINER in label for label in labels):
        return separator, whole
    joined = [label for label in labels if "_" in label and label not in whole]
    known = {label for label in labels if label not in joined}
    pairs = [set(label.split("_")) for label in joined]
    padded = [pair - whole for pair in pairs if len(pair) == 2 and pair & whole]
    known |= {name for pair in padded for name in pair if not name.isdigit()}
    combinations = [label for label in joined if known.issuperset(label.split("_"))]
    if not combinations:
        return separator, whole
    notes.append(
        f"{plural(len(combinations), 'label')} such as '{combinations[0]}' read as combinations, "
        "because their parts between '_' are single perturbations or controls here."
    )
    others = [label for label in joined if label not in combinations]
    if others:
        warnings.append(
            f"{plural(len(others), 'label')} with '_' kept as single perturbations, because not "
            f"all their parts are seen alone ({quoted(others)}); pass separator='_' to split them."
        )
    return "_", whole.union(others)


def _split(label: str, separator: str, column: pd.Series) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in label.split(separator))
    if not all(parts):
        raise ScreenError(
            f"Label '{label}' in column '{column.name}' of obs has an empty name beside the "
            f"separator '{separator}'; rename it, or pass another separator."
        )
    return parts


def _find_controls(
    parts: list[tuple[str, ...]],
    labels: list[str],
    counts: np.ndarray,
    options: ReaderOptions,
    warnings: list[str],
) -> frozenset[str]:
    """Parts that mean control; refuses a screen in which no cell is a control."""
    present = {p for ps in parts for p in ps}
    asked = options.control_labels
    if asked is not None:
        controls = present.intersection(label.strip() for label in asked)
        absent = [label for label in asked if label.strip() not in controls]
        if absent and controls:
            warnings.append(f"No cell is labelled with the control {quoted(absent)}.")
    else:
        tiers = ({p for p in present if _folded(p) in names} for names in CONTROL_NAMES)
        controls = next((tier for tier in tiers if tier), set())
    if not any(set(ps) <= controls for ps in parts):
        raise _no_controls(parts, labels, counts, options)
    suspects = sorted(p for p in present - controls if looks_like_control(p))
    if suspects:
        warnings.append(
            f"{quoted(suspects)} read as a perturbation, though the name is usual for a control; "
            "list it in control if it is one."
        )
    return frozenset(controls)


def _no_controls(
    parts: list[tuple[str, ...]], labels: list[str], counts: np.ndarray, options: ReaderOptions
) -> ScreenError:
    column = f"column '{options.perturbation_key}'"
    asked = options.control_labels
    alone = [ps[0] if len(ps) == 1 else label for ps, label in zip(parts, labels, strict=True)]
    if asked is not None:
        close = [name for label in asked for name in nearest(label, alone)]
        listed = quoted(dict.fromkeys([*close, *_most_like_controls(alone)]))
        return ScreenError(
            f"No cell is labelled {quoted(asked)} in {column} of obs, so there are no control "
            f"cells; the labels most like it are {listed}, so pass one of them as control."
        )
    likely = _most_like_controls(alone)
    if not likely:
        likely = [labels[i] for i in np.argsort(-counts, kind="stable")[:3]]
    return ScreenError(
        f"There are no control cells in {column} of obs that can be recognised; the labels most "
        f"like a control are {quoted(likely)}, so pass the right one as control."
    )


def _most_like_controls(labels: Iterable[str]) -> list[str]:
    """Up to three labels closest to a usual control name, if any is close at all."""
    usual = [name for names in CONTROL_NAMES for name in names]

    def likeness(label: str) -> float:
        folded = _folded(label)
        ratio = max(difflib.SequenceMatcher(None, folded, name).ratio() for name in usual)
        return ratio + any(len(name) > 3 and name in folded for name in usual)

    scored = sorted({label: likeness(label) for label in labels}.items(), key=lambda kv: -kv[1])
    return [label for label, score in scored[:3] if score > 0.6]


def _canonical(
    parts: list[tuple[str, ...]],
    counts: np.ndarray,
    is_control: list[bool],
    asked: tuple[str, ...] | None,
) -> str:
    totals: dict[str, int] = {}
    for ps, count, control in zip(parts, counts, is_control, strict=True):
        if control:
            totals[ps[0]] = totals.get(ps[0], 0) + int(count)
    if asked is not None:
        return next(label.strip() for label in asked if label.strip() in totals)
    most = max(totals, key=lambda label: totals[label])
    numbered = GUIDE.match(most)
    return numbered["target"] if numbered and len(totals) > 1 else most


def _tell_controls(
    found: Labels, counts: np.ndarray, is_control: list[bool], asked: tuple[str, ...] | None
) -> None:
    written = [label for label, control in zip(found.labels, is_control, strict=True) if control]
    if asked is None or len(written) > 1 or written[0] != found.control:
        cells = plural(int(counts[np.asarray(is_control)].sum()), "cell")
        renamed = f", called '{found.control}' from here on" if written != [found.control] else ""
        found.notes.append(f"Control cells: {cells} labelled {quoted(written)}{renamed}.")


def _tell_combinations(found: Labels) -> None:
    sizes = [len(found.perturbations(i)) for i in range(len(found.labels))]
    combined = [label for label, size in zip(found.labels, sizes, strict=True) if size > 1]
    padded = [
        label
        for label, parts, size in zip(found.labels, found.parts, sizes, strict=True)
        if size and found.controls.intersection(parts)
    ]
    if combined and found.separator == JOINER:
        found.notes.append(
            f"Combinations: {plural(len(combined), 'label')}, such as '{combined[0]}'."
        )
    if padded:
        found.notes.append(
            f"{plural(len(padded), 'label')} such as '{padded[0]}' read without the control beside "
            "the perturbation."
        )


def _check_names(found: Labels, is_control: list[bool], column: pd.Series) -> None:
    if all(is_control):
        raise ScreenError(
            f"Column '{column.name}' of obs has only control cells ('{found.control}'); a screen "
            "needs at least one perturbation, so check perturbation_key and control."
        )
    for name in found.names:
        if JOINER in name:
            raise ScreenError(
                f"Perturbation '{name}' in column '{column.name}' of obs contains '{JOINER}', "
                "which joins the names of combinations; rename it."
            )
    repeated = [
        label
        for label, ps in zip(found.labels, found.parts, strict=True)
        if len(ps) > len(set(ps)) and not set(ps) <= found.controls
    ]
    if repeated:
        found.notes.append(
            f"{plural(len(repeated), 'label')} such as '{repeated[0]}' name one perturbation twice "
            "and are read as naming it once."
        )
