"""Annotations of cells and genes: batches, splits, gene symbols, and columns kept for the app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sams_core.data.checks import plural, quoted
from sams_core.errors import ScreenError

UNUSED = "unused"
"""Cells that neither train, validate nor test."""

SPLITS = ("train", "val", "test", UNUSED)

RESERVED = ("_index",)
"""Column names that AnnData keeps for itself."""

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "ood", "holdout", "held-out", "heldout"), "test"),
    UNUSED: UNUSED,
}


def read_batches(column: pd.Series) -> pd.Categorical:
    """Batch of every cell.

    Raises
    ------
    ScreenError
        If a cell has no batch.
    """
    _refuse_missing(column, "batch")
    return pd.Categorical(column.astype(str))


def read_split(column: pd.Series) -> tuple[pd.Categorical, list[str]]:
    """Split of every cell, of :data:`SPLITS`, and notes on other spellings.

    Raises
    ------
    ScreenError
        If a value is missing or unknown, or no cell is for training.
    """
    _refuse_missing(column, "split")
    written = column.astype(str).str.strip()
    folded = written.str.casefold().str.replace("_", "-", regex=False)
    unknown = written[~folded.isin(list(_SPLIT_NAMES))].unique()
    if len(unknown):
        raise ScreenError(
            f"Column '{column.name}' of obs has the split {quoted(unknown)}; use 'train', 'val', "
            "'test' and 'unused'."
        )
    split = folded.map(_SPLIT_NAMES)
    if not (split == "train").any():
        raise ScreenError(
            f"Column '{column.name}' of obs has no 'train' cells, so nothing could be learned; "
            "name another column with split_key or leave it off."
        )
    renamed = written[written != split].unique()
    notes = [f"Split '{name}' read as '{split[written == name].iloc[0]}'." for name in renamed]
    categories = [name for name in SPLITS if name != UNUSED or (split == UNUSED).any()]
    return pd.Categorical(split, categories=categories), notes


def read_gene_names(var: pd.DataFrame, gene_symbols: str | None) -> tuple[pd.Index, list[str]]:
    """Gene names from the index of ``var`` or one of its columns; genes without keep the index."""
    index = pd.Index(var.index.astype(str)).rename(None)
    if gene_symbols is None:
        return index, []
    column = var[gene_symbols]
    symbols = column.astype("object").where(column.notna(), "").astype(str).str.strip()
    without = (symbols == "").to_numpy()
    notes = [f"Gene names are from column '{gene_symbols}' of var."]
    if without.any():
        notes.append(
            f"{plural(int(without.sum()), 'gene has', 'genes have')} no symbol there and "
            f"{'keeps its name' if without.sum() == 1 else 'keep their names'} from the index."
        )
    return pd.Index(np.where(without, index, symbols).astype(object)), notes


def writeable(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy of a data frame with only types that every AnnData can write.

    Numbers and booleans stay; everything else becomes categories of text, missing values stay
    missing. The index loses its name, which a column may have, too.
    """
    index = pd.Index(frame.index.astype(str), dtype=object).rename(None)
    columns = {str(name): _writeable(frame[name]) for name in frame.columns}
    return without_clashes(pd.DataFrame(columns, index=index), RESERVED)


def without_clashes(frame: pd.DataFrame, taken: Iterable[str]) -> pd.DataFrame:
    """Annotations under names that are free: one that is taken ends in ``_annotation``."""
    used = {*taken, *map(str, frame.columns)}
    names = {}
    for name in frame.columns.intersection(pd.Index(list(taken), dtype=object)):
        free = f"{name}_annotation"
        while free in used:
            free += "_annotation"
        names[name] = free
        used.add(free)
    return frame.rename(columns=names)


def _writeable(column: pd.Series) -> Any:
    if isinstance(column.dtype, pd.CategoricalDtype):
        texts = column.cat.categories.map(str)
        if texts.is_unique:
            codes = column.cat.codes.tolist()
            return pd.Categorical.from_codes(codes, categories=texts.astype(object))
    elif pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return column.to_numpy(dtype=bool)
    elif pd.api.types.is_numeric_dtype(column.dtype) and not _complex(column):
        whole = pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any()
        if isinstance(column.dtype, np.dtype):
            return column.to_numpy()
        return column.to_numpy(
            dtype=np.int64 if whole else np.float64, na_value=0 if whole else np.nan
        )
    text = column.astype("object")
    text[column.isna()] = None
    return pd.Categorical([None if value is None else str(value) for value in text])


def _complex(column: pd.Series) -> bool:
    return bool(pd.api.types.is_complex_dtype(column.dtype))


def _refuse_missing(column: pd.Series, what: str) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        raise ScreenError(
            f"Column '{column.name}' of obs has no {what} for "
            f"{plural(int(missing.sum()), 'cell')} (first "
            f"'{column.index[int(np.argmax(missing))]}'); fill it in or drop those cells."
        )
