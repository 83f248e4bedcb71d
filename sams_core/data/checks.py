"""Refusals and cautions: what a screen must be, said in one sentence with the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sams_core.errors import ScreenError

FEW_CELLS = 50
SMALL_LIBRARY = 50


def quoted(names: Iterable[Any], limit: int = 3) -> str:
    """Join names for a sentence: ``'a', 'b', 'c' and 4 more``."""
    listed = [f"'{name}'" for name in names]
    if len(listed) > limit:
        return f"{', '.join(listed[:limit])} and {len(listed) - limit:,} more"
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Count with its noun: ``1 cell``, ``1,923 cells``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def nearest(name: str, names: Iterable[Any]) -> list[str]:
    """Up to three of ``names`` that are spelled most like ``name``."""
    by_fold = {str(candidate).casefold(): str(candidate) for candidate in names}
    close = difflib.get_close_matches(name.casefold(), list(by_fold), n=3, cutoff=0.5)
    return [by_fold[fold] for fold in close]


def require_name(name: str, names: Iterable[Any], what: str, option: str) -> None:
    """Refuse a column or layer that is not there, offering the nearest names.

    Raises
    ------
    ScreenError
        If ``name`` is not among ``names``.
    """
    present = [str(candidate) for candidate in names]
    if name in present:
        return
    close = nearest(name, present)
    if close:
        cure = f"did you mean {quoted(close)}?"
    elif present:
        cure = f"pass {option} as one of {quoted(present, 8)}."
    else:
        cure = f"there is none at all, so leave {option} off."
    raise ScreenError(f"There is no {what} '{name}'; {cure}")


def refuse_duplicates(names: pd.Index, what: str, cure: str) -> None:
    """Refuse names that occur twice.

    Raises
    ------
    ScreenError
        Naming some of the repeated names.
    """
    if names.is_unique:
        return
    repeated = names[names.duplicated()].unique()
    raise ScreenError(
        f"{plural(len(repeated), f'{what} name occurs', f'{what} names occur')} more than once "
        f"({quoted(repeated)}); {cure}."
    )


def refuse_empty(n_cells: int, n_genes: int) -> None:
    """Refuse a screen without cells or genes, or with a single cell.

    Raises
    ------
    ScreenError
        Saying which is missing.
    """
    if n_cells == 0:
        raise ScreenError("The screen is empty: obs has 0 cells, so check how the file was made.")
    if n_genes == 0:
        raise ScreenError("The screen is empty: var has 0 genes, so check how the file was made.")
    if n_cells == 1:
        raise ScreenError(
            "The screen has only one cell in obs; effects need many cells of each perturbation "
            "and of the control."
        )


def refuse_shape(shape: Sequence[int], n_cells: int, n_genes: int, field: str) -> None:
    """Refuse a count matrix that does not match ``obs`` and ``var``.

    Raises
    ------
    ScreenError
        Naming the field and both shapes.
    """
    if tuple(shape) != (n_cells, n_genes):
        described = " x ".join(f"{size:,}" for size in shape) or "a single number"
        raise ScreenError(
            f"{field} is {described}, but obs and var describe {n_cells:,} cells x {n_genes:,} "
            "genes; write the file again from a whole AnnData."
        )


def cautions(
    extremes: tuple[int, int],
    library: np.ndarray,
    dosages: sparse.csr_matrix,
    perturbation_names: pd.Index,
) -> list[str]:
    """Sentences on what to watch in a screen that can be used all the same.

    Parameters
    ----------
    extremes
        Smallest and largest count above zero.
    library : (n,) array
        Total of every cell.
    dosages, perturbation_names
        Of the screen.
    """
    said = _few_cells(dosages, perturbation_names) + _never_alone(dosages, perturbation_names)
    median = float(np.median(library))
    if median < SMALL_LIBRARY:
        said.append(
            f"Cells have a median of only {median:,.0f} counts; effects will be noisy, so use more "
            "genes or deeper cells if there are any."
        )
    said += _looks_processed(*extremes, library)
    return said


def _few_cells(dosages: sparse.csr_matrix, perturbation_names: pd.Index) -> list[str]:
    cells = np.asarray((dosages > 0).sum(axis=0)).ravel()
    few = np.flatnonzero(cells < FEW_CELLS)
    if few.size == 0:
        return []
    few = few[np.argsort(cells[few], kind="stable")]
    listed = [f"{perturbation_names[i]} ({cells[i]})" for i in few[:10]]
    more = f" and {few.size - 10:,} more" if few.size > 10 else ""
    verb = "perturbation has" if few.size == 1 else "perturbations have"
    return [
        f"{few.size:,} {verb} fewer than {FEW_CELLS} cells: {', '.join(listed)}{more}; read "
        f"{'its' if few.size == 1 else 'their'} masks and effects with care."
    ]


def _never_alone(dosages: sparse.csr_matrix, perturbation_names: pd.Index) -> list[str]:
    single = np.diff(dosages.indptr) == 1
    alone = np.asarray((dosages[single] > 0).sum(axis=0)).ravel() > 0
    if alone.all():
        return []
    names = perturbation_names[~alone]
    return [
        f"{plural(len(names), 'perturbation is', 'perturbations are')} seen only in combinations "
        f"({quoted(names)}); what each does alone is inferred, not measured."
    ]


def _looks_processed(smallest: int, largest: int, library: np.ndarray) -> list[str]:
    said = []
    if library.size >= 10 and library.std() <= 0.005 * library.mean():
        said.append(
            f"All cells have nearly the same total of counts (about {library.mean():,.0f}), as "
            "after normalisation and rounding; give the raw counts if you have them."
        )
    if largest == 1:
        said.append(
            "No count is above 1, as after binarising; give the raw counts if you have them."
        )
    elif smallest > 1:
        said.append(
            f"The smallest non-zero count is {smallest}, as after scaling; give the raw counts if "
            "you have them."
        )
    return said
