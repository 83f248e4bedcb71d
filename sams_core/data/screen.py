"""The screen: counts, dosages and names, checked once and then relied on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sams_core.data.annotations import (
    read_batches,
    read_gene_names,
    read_split,
    without_clashes,
    writeable,
)
from sams_core.data.checks import cautions, plural, refuse_duplicates, refuse_empty, require_name
from sams_core.data.counts import shrink
from sams_core.data.dosages import build_dosages
from sams_core.data.labels import JOINER, read_labels
from sams_core.data.options import ReaderOptions
from sams_core.data.parts import Parts, parts_of_anndata
from sams_core.data.stored import StoredCounts
from sams_core.data.totals import extremes, row_blocks, row_sums, without_empty_rows
from sams_core.errors import ScreenError


@dataclass(frozen=True, eq=False)
class Screen:
    """A perturbation screen; made by :meth:`from_anndata` or ``read_screen``, never changed.

    Attributes
    ----------
    counts
        Raw counts of shape (n, G) in the smallest exact unsigned type: CSR, or for a screen that
        stays on disk an object that gives rows as CSR.
    dosages
        Dosage matrix D, float32 CSR of shape (n, T); rows of control cells are empty.
    gene_names, perturbation_names, cell_names
        Names of the G genes, the T perturbations (sorted) and the n cells.
    control
        Canonical label of the control.
    conditions
        Condition of every cell: the control label, ``A``, ``A+B``; ``A@0.5`` at doses other than 1.
    batch, split
        Batch and ``train`` / ``val`` / ``test`` of every cell, where columns were named.
    obs, var
        All other annotations, in types that AnnData can write.
    notes, warnings
        What was understood and what to watch, in sentences.
    simulated, truth
        Whether the cells come from a simulator, and the known truth if so.
    source, reader
        The file and how it was read.
    z_truth
        Known latent states of a simulated screen's cells, (n, K).
    """

    counts: Any  # Counts, which callers that made theirs in memory know to be CSR
    dosages: sparse.csr_matrix
    gene_names: pd.Index
    perturbation_names: pd.Index
    cell_names: pd.Index
    control: str
    conditions: pd.Categorical
    batch: pd.Categorical | None
    split: pd.Categorical | None
    obs: pd.DataFrame
    var: pd.DataFrame
    reader: ReaderOptions
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    simulated: bool = False
    truth: dict[str, Any] | None = None
    source: Path | None = None
    z_truth: np.ndarray | None = None

    @classmethod
    def from_anndata(
        cls,
        adata: AnnData,
        *,
        perturbation_key: str,
        control: str | Sequence[str] | None = None,
        separator: str = "+",
        layer: str | None = None,
        dose_key: str | None = None,
        batch_key: str | None = None,
        split_key: str | None = None,
        gene_symbols: str | None = None,
        collapse_guides: bool = True,
    ) -> Screen:
        """Read a screen from an AnnData in memory or backed; the AnnData is not changed.

        Parameters
        ----------
        adata
            Cells x genes with raw counts in ``X`` or a layer.
        perturbation_key, control, separator, layer, dose_key, batch_key, split_key, gene_symbols, \
collapse_guides
            See :class:`ReaderOptions`.

        Raises
        ------
        ScreenError
            If the screen cannot be used; the message names the field and the cure.
        """
        options = ReaderOptions(
            perturbation_key=perturbation_key,
            control=control if control is None or isinstance(control, str) else tuple(control),
            separator=separator,
            layer=layer,
            dose_key=dose_key,
            batch_key=batch_key,
            split_key=split_key,
            gene_symbols=gene_symbols,
            collapse_guides=collapse_guides,
        )
        return cls.from_parts(parts_of_anndata(adata, layer), options)

    @classmethod
    def from_parts(cls, parts: Parts, options: ReaderOptions, source: Path | None = None) -> Screen:
        """Check the pieces of an AnnData and make a screen of them.

        Raises
        ------
        ScreenError
            If the screen cannot be used; the message names the field and the cure.
        """
        obs, var = parts.obs, parts.var
        refuse_empty(*parts.matrix.shape)
        _require_columns(obs, var, options)
        gene_names, notes = read_gene_names(var, options.gene_symbols)
        cell_names = pd.Index(obs.index.astype(str), dtype=object).rename(None)
        _refuse_repeated_names(cell_names, gene_names, options)
        counts = parts.counts(cell_names, gene_names)
        notes += counts.notes if isinstance(counts, StoredCounts) else []
        keep = np.diff(counts.indptr) > 0
        if not keep.all():
            notes.append(_tell_dropped(keep))
            counts, obs, cell_names = without_empty_rows(counts), obs.loc[keep], cell_names[keep]
        labels = read_labels(obs[options.perturbation_key], options)
        doses = None if options.dose_key is None else obs[options.dose_key]
        dosages, conditions = build_dosages(labels, doses)
        batch = None if options.batch_key is None else read_batches(obs[options.batch_key])
        split, split_notes = _split_of(obs, options)
        used = {options.dose_key, options.batch_key, options.split_key}
        used |= set() if labels.collapsed else {options.perturbation_key}
        return cls(
            counts=counts,
            dosages=dosages,
            gene_names=gene_names,
            perturbation_names=labels.names,
            cell_names=cell_names,
            control=labels.control,
            conditions=conditions,
            batch=batch,
            split=split,
            obs=writeable(obs.drop(columns=[key for key in used if key in obs])),
            var=_gene_annotations(var, gene_names, options),
            reader=options,
            notes=notes + labels.notes + split_notes,
            warnings=labels.warnings
            + cautions(extremes(counts), row_sums(counts), dosages, labels.names),
            simulated=parts.simulated,
            truth=parts.truth,
            source=source,
            z_truth=parts.z_truth if parts.z_truth is None else parts.z_truth[keep],
        )

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.counts.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.counts.shape[1])

    @property
    def n_perturbations(self) -> int:
        """Number of perturbations, each counted once however it is combined."""
        return int(self.dosages.shape[1])

    @property
    def on_disk(self) -> bool:
        """Whether counts are read from the file as they are needed."""
        return isinstance(self.counts, StoredCounts)

    @cached_property
    def library_size(self) -> np.ndarray:
        """Total count of every cell, float64 of shape (n,), at least 1."""
        return row_sums(self.counts)

    @cached_property
    def is_control(self) -> np.ndarray:
        """Whether each cell is a control, bool of shape (n,)."""
        return np.diff(self.dosages.indptr) == 0

    def fingerprint(self) -> str:
        """SHA-256 over counts, dosages and names: equal exactly when these are equal."""
        digest = hashlib.sha256()
        for matrix in (self.counts, self.dosages):
            digest.update(repr(matrix.shape).encode())
            digest.update(np.ascontiguousarray(matrix.indptr, dtype="<i8").data)
            for rows in row_blocks(matrix):
                digest.update(np.ascontiguousarray(rows.indices, dtype="<i4").data)
            kind = matrix.dtype.newbyteorder("<")
            digest.update(kind.str.encode())
            for rows in row_blocks(matrix):
                digest.update(np.ascontiguousarray(rows.data, dtype=kind).data)
        for names in (self.cell_names, self.gene_names, self.perturbation_names):
            digest.update("\0".join(names).encode() + b"\n")
        return digest.hexdigest()

    def subset(self, index: np.ndarray | Sequence[int] | Sequence[bool]) -> Screen:
        """Some of the cells, with the same genes, perturbations and batches.

        Parameters
        ----------
        index
            Boolean mask of shape (n,) or integer positions, in the order wanted.

        Raises
        ------
        ScreenError
            If no cell is left or the mask has another length.
        """
        chosen = np.asarray(index)
        if chosen.dtype == bool:
            if chosen.shape != (self.n_cells,):
                raise ScreenError(
                    f"The mask has shape {chosen.shape}, but the screen has {self.n_cells:,} cells."
                )
            chosen = np.flatnonzero(chosen)
        if chosen.size == 0:
            raise ScreenError("The selection holds no cells; choose at least one.")
        return replace(
            self,
            counts=shrink(self.counts[chosen]),
            dosages=self.dosages[chosen],
            cell_names=self.cell_names[chosen],
            conditions=self.conditions[chosen].remove_unused_categories(),
            batch=None if self.batch is None else self.batch[chosen],
            split=None if self.split is None else self.split[chosen],
            obs=self.obs.iloc[chosen],
            z_truth=None if self.z_truth is None else self.z_truth[chosen],
        )

    def to_anndata(self) -> AnnData:
        """AnnData that reads back as the same screen, which must be in memory.

        ``obs`` has ``perturbation``, and ``dose``, ``batch`` and ``split`` where there are any,
        then the other annotations; a clash of names is resolved by ``_annotation`` at the end of
        the other annotation's.
        """
        if isinstance(self.counts, StoredCounts):
            raise ScreenError(
                f"The counts of {self.counts.source.path.name} are on disk, and an AnnData holds "
                "all of them; read the screen without on_disk, or take a subset of its cells."
            )
        columns: dict[str, Any] = {
            "perturbation": self._per_cell(lambda name, dose: name, self.control)
        }
        if (self.dosages.data != 1).any():
            columns["dose"] = self._per_cell(lambda name, dose: repr(float(dose)), "1.0")
        if self.batch is not None:
            columns["batch"] = self.batch
        if self.split is not None:
            columns["split"] = self.split
        kept = without_clashes(self.obs, columns)
        obs = pd.concat([pd.DataFrame(columns, index=kept.index), kept], axis=1)
        uns: dict[str, Any] = {"simulated": True} if self.simulated else {}
        if self.truth is not None:
            uns["truth"] = self.truth
        obsm = {} if self.z_truth is None else {"z_truth": self.z_truth}
        return AnnData(X=self.counts.copy(), obs=obs, var=self.var.copy(), uns=uns, obsm=obsm)

    def _per_cell(self, text: Any, control: str) -> pd.Categorical:
        rows = []
        for start, stop in zip(self.dosages.indptr[:-1], self.dosages.indptr[1:], strict=True):
            entries = zip(
                self.dosages.indices[start:stop], self.dosages.data[start:stop], strict=True
            )
            parts = [text(self.perturbation_names[i], dose) for i, dose in sorted(entries)]
            rows.append(JOINER.join(parts) if parts else control)
        return pd.Categorical(rows)


def _require_columns(obs: pd.DataFrame, var: pd.DataFrame, options: ReaderOptions) -> None:
    refuse_duplicates(obs.columns, "obs column", "rename or drop the others")
    for option in ("perturbation_key", "dose_key", "batch_key", "split_key"):
        name = getattr(options, option)
        if name is not None:
            require_name(name, obs.columns, "column of obs", option)
    if options.gene_symbols is not None:
        require_name(options.gene_symbols, var.columns, "column of var", "gene_symbols")


def _refuse_repeated_names(
    cell_names: pd.Index, gene_names: pd.Index, options: ReaderOptions
) -> None:
    refuse_duplicates(cell_names, "cell", "call obs_names_make_unique() on the AnnData first")
    cure = "call var_names_make_unique() on the AnnData first, or sum those genes"
    if options.gene_symbols is not None:
        cure = f"leave gene_symbols='{options.gene_symbols}' off, or sum those genes first"
    refuse_duplicates(gene_names, "gene", cure)


def _split_of(obs: pd.DataFrame, options: ReaderOptions) -> tuple[pd.Categorical | None, list[str]]:
    return (None, []) if options.split_key is None else read_split(obs[options.split_key])


def _tell_dropped(keep: np.ndarray) -> str:
    dropped = int((~keep).sum())
    if dropped >= keep.size - 1:
        raise ScreenError(
            f"{plural(dropped, 'cell')} of {keep.size:,} hold no counts at all; check which layer "
            "has the raw counts."
        )
    return f"{plural(dropped, 'cell')} without any counts left out."


def _gene_annotations(
    var: pd.DataFrame, gene_names: Iterable[str], options: ReaderOptions
) -> pd.DataFrame:
    kept = writeable(var.drop(columns=[options.gene_symbols] if options.gene_symbols else []))
    if options.gene_symbols and "gene_id" not in kept:
        kept["gene_id"] = pd.Categorical(kept.index)
    kept.index = pd.Index(list(gene_names), dtype=object)
    return kept
