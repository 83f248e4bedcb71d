"""The pieces of an AnnData that a screen is made of, from memory or from a file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem
from scipy import sparse

from sams_core.data.checks import refuse_shape, require_name
from sams_core.data.counts import (
    CHUNK_VALUES,
    InMemory,
    Naming,
    as_csr,
    exact_counts,
    holds_whole_numbers,
)
from sams_core.data.stored import StoredCounts, StoredMatrix
from sams_core.data.stores import damage_named
from sams_core.data.totals import Counts
from sams_core.errors import ScreenError


@dataclass(frozen=True)
class Parts:
    """Counts not yet checked, annotations, and what is known about other layers.

    ``on_disk`` says that the counts are to stay in their file.
    """

    matrix: InMemory | StoredMatrix
    field: str
    obs: pd.DataFrame
    var: pd.DataFrame
    simulated: bool
    truth: dict[str, Any] | None
    other_layers: Callable[[], list[str]]
    z_truth: np.ndarray | None = None
    on_disk: bool = False

    def counts(self, cell_names: pd.Index, gene_names: pd.Index) -> Counts:
        """Check that every value is a count.

        Raises
        ------
        ScreenError
            If one is not; the message names the cell and the gene.
        """
        naming = Naming(self.field, cell_names, gene_names, self.other_layers)
        if self.on_disk and isinstance(self.matrix, StoredMatrix):
            return StoredCounts.checked(self.matrix, naming)
        return exact_counts(self.matrix, naming)


def parts_of_anndata(adata: AnnData, layer: str | None) -> Parts:
    """Pieces of an AnnData in memory or backed; only the chosen matrix is read.

    Raises
    ------
    ScreenError
        If the layer is unknown or the matrix is not one of numbers.
    """
    if not isinstance(adata, AnnData):
        raise ScreenError(f"A screen is read from an AnnData, not from a {type(adata).__name__}.")
    matrices = dict(adata.layers)
    if layer is not None:
        require_name(layer, matrices, "layer", "layer")
    matrix = adata.X if layer is None else matrices[layer]
    if matrix is None:
        raise _no_matrix(list(matrices))
    field = _field(layer)
    refuse_shape(matrix.shape, adata.n_obs, adata.n_vars, field)
    if adata.X is not None:
        matrices["X"] = adata.X
    if adata.raw is not None:
        matrices["raw"] = adata.raw.X
    return Parts(
        matrix=InMemory(as_csr(matrix)),
        field=field,
        obs=adata.obs,
        var=adata.var,
        simulated=bool(adata.uns.get("simulated", False)),
        truth=_truth(adata.uns.get("truth")),
        other_layers=lambda: _whole_layers(matrices, layer),
        z_truth=_true_states(adata.obsm.get("z_truth"), adata.n_obs),
    )


def parts_of_store(root: Any, layer: str | None, path: Path, *, on_disk: bool) -> Parts:
    """Pieces of an open HDF5 file or zarr group; of the chosen matrix only the row pointers.

    Raises
    ------
    ScreenError
        If this is not an AnnData, a piece is damaged, the layer is unknown, or the matrix is to
        stay on disk and is not stored by cells.
    """
    with damage_named(path.name, "The content"):
        return _parts_of_store(root, layer, path, on_disk)


def _parts_of_store(root: Any, layer: str | None, path: Path, on_disk: bool) -> Parts:
    name = path.name
    for needed in ("obs", "var"):
        if needed not in root:
            raise ScreenError(
                f"{name} is not an AnnData: it has no '{needed}'; write it with AnnData.write_h5ad "
                "or AnnData.write_zarr."
            )
    obs, var = (_read_frame(root[key], key, name) for key in ("obs", "var"))
    layers = root.get("layers", {})
    if layer is not None:
        require_name(layer, list(layers), "layer", "layer")
    if layer is None and "X" not in root:
        raise _no_matrix(list(layers))
    at, field = "X" if layer is None else f"layers/{layer}", _field(layer)
    with damage_named(name, field):
        matrix = _stored_matrix(root, path, at, field, (len(obs), len(var)), on_disk)
    uns = root.get("uns", {})
    with damage_named(name, "uns"):
        simulated = bool(read_elem(uns["simulated"])) if "simulated" in uns else False
        truth = _truth(read_elem(uns["truth"])) if "truth" in uns else None
    with damage_named(name, "obsm"):
        obsm = root.get("obsm", {})
        states = read_elem(obsm["z_truth"]) if "z_truth" in obsm else None
    candidates = {key: layers[key] for key in layers}
    candidates |= {key: root[at] for key, at in (("X", "X"), ("raw", "raw/X")) if at in root}
    return Parts(
        matrix, field, obs, var, simulated, truth, lambda: _whole_layers(candidates, layer),
        _true_states(states, len(obs)), on_disk,
    )  # fmt: skip


def _stored_matrix(
    root: Any, path: Path, at: str, field: str, shape: tuple[int, int], on_disk: bool
) -> InMemory | StoredMatrix:
    """The matrix by cells where it is stored so; else, as by genes, read whole."""
    stored = root[at]
    by_cells = not _is_group(stored) or stored.attrs.get("encoding-type") == "csr_matrix"
    if by_cells:
        found = stored.attrs["shape"] if _is_group(stored) else stored.shape
        refuse_shape(tuple(found), *shape, field)
        return StoredMatrix(path, at, field, stored)
    if on_disk:
        raise ScreenError(
            f"{field} of {path.name} is not stored by cells, so it cannot stay on disk; write it "
            "as CSR (adata.X.tocsr()), or read the screen into memory."
        )
    matrix = read_elem(stored)
    refuse_shape(matrix.shape, *shape, field)
    return InMemory(as_csr(matrix))


def _read_frame(group: Any, key: str, name: str) -> pd.DataFrame:
    """Read a data frame column by column, so that a damaged column is named."""
    if not _is_group(group):
        raise ScreenError(
            f"'{key}' of {name} is not a data frame of a current AnnData; open the file with the "
            "anndata package and write it again."
        )
    with damage_named(name, key):
        names = _plain(read_elem(group[group.attrs["_index"]]))
        index = pd.Index([str(row) for row in names], dtype=object)
        columns = [str(column) for column in group.attrs["column-order"]]
    values = {}
    for column in columns:
        with damage_named(name, f"Column '{column}' of {key}"):
            values[column] = _plain(read_elem(group[column]))
        if len(values[column]) != len(index):
            raise ScreenError(
                f"Column '{column}' of {key} has {len(values[column]):,} values for {len(index):,} "
                f"rows in {name}; write the file again."
            )
    return pd.DataFrame(values, index=index)


def _whole_layers(matrices: dict[str, Any], chosen: str | None) -> list[str]:
    """Names of the other matrices whose first values are whole numbers."""
    found = []
    for name, matrix in matrices.items():
        if name == (chosen or "X"):
            continue
        try:
            if holds_whole_numbers(_first_values(matrix)):
                found.append(name)
        except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError):
            continue
    return sorted(found, key=lambda name: ("count" not in name.lower(), name))


def _first_values(matrix: Any) -> np.ndarray:
    if _is_group(matrix):
        return np.asarray(matrix["data"][:CHUNK_VALUES])
    if sparse.issparse(matrix):
        return np.asarray(as_csr(matrix).data[:CHUNK_VALUES])
    if hasattr(matrix, "to_memory"):
        return np.asarray(matrix[:1000].data)
    rows = max(1, CHUNK_VALUES // max(1, matrix.shape[1]))
    return np.asarray(matrix[:rows])


def _is_group(stored: Any) -> bool:
    return isinstance(stored, h5py.Group) or hasattr(stored, "group_keys")


def _truth(stored: Any) -> dict[str, Any] | None:
    if not isinstance(stored, Mapping):
        return None
    return {str(key): _plain(value) for key, value in stored.items()}


def _true_states(stored: Any, n_cells: int) -> np.ndarray | None:
    """Known latent states of the cells, if that is what is stored."""
    if not isinstance(stored, np.ndarray) or stored.dtype.kind != "f" or stored.ndim != 2:
        return None
    return stored if len(stored) == n_cells and np.isfinite(stored).all() else None


def _plain(values: Any) -> Any:
    """Text from zarr, of NumPy's variable-width type, as Python strings."""
    of_text = isinstance(values, np.ndarray) and values.dtype.kind == "T"
    return values.astype(object) if of_text else values


def _field(layer: str | None) -> str:
    return "X" if layer is None else f"Layer '{layer}'"


def _no_matrix(layers: list[str]) -> ScreenError:
    if not layers:
        return ScreenError("The screen has no X and no layers, so it holds no counts; add them.")
    listed = ", ".join(f"'{name}'" for name in itertools.islice(layers, 8))
    return ScreenError(f"The screen has no X; name the layer with the raw counts, of {listed}.")
