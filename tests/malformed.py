"""Screens that cannot be used, each with the sentence it should give.

The table serves the tests of reading (one :class:`~sams_core.errors.ScreenError` each) and of the
command line (exit code 2, no traceback).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData

from tests.data.builders import labelled, tiny


@dataclass(frozen=True)
class Malformed:
    """A bad input.

    Attributes
    ----------
    name
        Short name, for the test's id.
    write
        Writes the bad input into a folder and returns its path.
    expect
        Regular expression that the message must hold.
    options
        Keywords for ``read_screen``.
    """

    name: str
    write: Callable[[Path], Path]
    expect: str
    options: dict[str, Any] = field(default_factory=lambda: {"perturbation_key": "perturbation"})


def _keys(**more: Any) -> dict[str, Any]:
    return {"perturbation_key": "perturbation", **more}


def _stored(adata: AnnData, folder: Path, suffix: str = ".h5ad") -> Path:
    path = folder / f"screen{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if suffix == ".zarr":
            adata.write_zarr(path)
        else:
            adata.write_h5ad(path)
    return path


def _changed(change: Callable[[AnnData], AnnData | None], **shape: Any) -> Callable[[Path], Path]:
    """Write a good screen after changing it in memory."""

    def write(folder: Path) -> Path:
        adata = tiny(**shape)
        changed = change(adata)
        return _stored(adata if changed is None else changed, folder)

    return write


def _labels(*column: object) -> Callable[[Path], Path]:
    return lambda folder: _stored(labelled(column), folder)


def _edited(edit: Callable[[h5py.File], None], **shape: Any) -> Callable[[Path], Path]:
    """Write a good screen, then edit the HDF5 file."""

    def write(folder: Path) -> Path:
        path = _stored(tiny(**shape), folder)
        with h5py.File(path, "r+") as file:
            edit(file)
        return path

    return write


def _bytes(content: bytes, name: str = "screen.h5ad") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write


def _truncated(share: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = _stored(tiny(), folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return write


def _plain_hdf5(folder: Path) -> Path:
    path = folder / "screen.h5ad"
    with h5py.File(path, "w") as file:
        file["matrix"] = np.ones((3, 3))
    return path


def _folder(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.mkdir()
        (path / "notes.txt").write_text("nothing here")
        return path

    return write


def _broken_zarr(folder: Path) -> Path:
    path = _stored(tiny(), folder, ".zarr")
    for chunk in sorted((path / "X" / "data").rglob("*")):
        if chunk.is_file() and not chunk.name.startswith((".", "zarr.json")):
            chunk.write_bytes(b"\x00\x01")
    return path


def _zarr_without_obs(folder: Path) -> Path:
    path = _stored(tiny(), folder, ".zarr")
    (path / "obs").rename(folder / "elsewhere")
    for consolidated in (path / ".zmetadata",):
        consolidated.unlink(missing_ok=True)
    return path


def _value(value: float) -> Callable[[Path], Path]:
    def change(adata: AnnData) -> None:
        adata.X[3, 2] = value

    return _changed(change)


def _layer_beside_logs(adata: AnnData) -> None:
    adata.layers["umi_counts"] = adata.X.copy()
    adata.X = adata.X.log1p()


def _no_counts_but_x(adata: AnnData) -> None:
    adata.layers["logs"] = adata.X.log1p()


def _only_layers(adata: AnnData) -> None:
    adata.layers["counts"] = adata.X.copy()
    del adata.X


def _replace(file: h5py.File, name: str, value: Any) -> None:
    """Replace a dataset's values, keeping the attributes that say what it is."""
    attributes = dict(file[name].attrs)
    del file[name]
    file[name] = value
    file[name].attrs.update(attributes)


def _text_matrix(file: h5py.File) -> None:
    del file["X"]
    file["X"] = np.full((20, 8), "12", dtype=object)
    file["X"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def _categorical(edit: Callable[[h5py.File], None]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        adata = tiny()
        adata.obs["perturbation"] = adata.obs["perturbation"].astype("category")
        path = _stored(adata, folder)
        with h5py.File(path, "r+") as file:
            edit(file)
        return path

    return write


def _column(name: str, values: Any) -> Callable[[Path], Path]:
    """A good screen with another column in obs (one value, or one for each of 20 cells)."""

    def change(adata: AnnData) -> None:
        adata.obs[name] = values

    return _changed(change)


def _doses(*of_labels: str) -> Callable[[Path], Path]:
    """Doses of ``ctrl``, ``A``, ``B`` and ``A+B``, five cells each."""
    return _column("dose", np.repeat(of_labels, 5))


def _repeat_names(adata: AnnData) -> None:
    adata.obs_names = ["same", "same", *adata.obs_names[2:]]


def _repeat_genes(adata: AnnData) -> None:
    adata.var_names = ["TP53", "TP53", *adata.var_names[2:]]


def _repeat_symbols(adata: AnnData) -> None:
    adata.var["symbol"] = ["STAT1"] * 2 + [f"S{i}" for i in range(6)]


def _short_column(file: h5py.File) -> None:
    _replace(file, "obs/perturbation/codes", np.zeros(7, dtype=np.int8))


def _wild_index(file: h5py.File) -> None:
    file["X/indices"][0] = 1000


def _wild_indptr(file: h5py.File) -> None:
    file["X/indptr"][1] = -5


def _wild_code(file: h5py.File) -> None:
    file["obs/perturbation/codes"][0] = 100


def _missing_code(file: h5py.File) -> None:
    file["obs/perturbation/codes"][4] = -1


def _no_index(file: h5py.File) -> None:
    del file["obs"].attrs["_index"]


def _old_frame(file: h5py.File) -> None:
    del file["obs"]
    file["obs"] = np.zeros(20, dtype=[("index", "S4"), ("perturbation", "S4")])


def _drop_obs(file: h5py.File) -> None:
    del file["obs"]


def _drop_x(file: h5py.File) -> None:
    del file["X"]


def _fewer_cells(file: h5py.File) -> None:
    file["X"].attrs["shape"] = np.array([12, 8])


def _fewer_rows_dense(folder: Path) -> Path:
    adata = tiny()
    adata.X = adata.X.toarray()
    path = _stored(adata, folder)
    with h5py.File(path, "r+") as file:
        _replace(file, "X", np.ones((12, 8), dtype=np.float32))
    return path


DOSE = _keys(dose_key="dose")
SPLIT = _keys(split_key="fold")
FOLDS = np.array(["train"] * 18 + ["train2", "later"])

MALFORMED_SCREENS: list[Malformed] = [
    Malformed("missing-file", lambda folder: folder / "no.h5ad", r"no file.*no\.h5ad"),
    Malformed("empty-file", _bytes(b""), r"screen\.h5ad.*is empty"),
    Malformed("text-file", _bytes(b"cell,gene\n1,2\n"), r"screen\.h5ad.*not an HDF5 file"),
    Malformed("wrong-suffix", _bytes(b"cell,gene\n1,2\n", "screen.csv"), r"screen\.csv.*\.h5ad"),
    Malformed("compressed", _bytes(b"\x1f\x8b\x08", "screen.h5ad.gz"), r"\.h5ad\.gz.*\.h5ad"),
    Malformed("truncated-half", _truncated(0.5), r"damaged or cut short"),
    Malformed("truncated-end", _truncated(0.99), r"damaged or cut short"),
    Malformed("truncated-start", _truncated(0.01), r"screen\.h5ad.*(damaged|not an HDF5)"),
    Malformed("folder-named-h5ad", _folder("screen.h5ad"), r"folder, not an \.h5ad"),
    Malformed("folder", _folder("screen"), r"neither an \.h5ad file nor a \.zarr folder"),
    Malformed("folder-not-zarr", _folder("screen.zarr"), r"without a zarr group"),
    Malformed("file-named-zarr", _bytes(b"PK", "screen.zarr"), r"a file, not a \.zarr folder"),
    Malformed("damaged-zarr", _broken_zarr, r"X of screen\.zarr cannot be read"),
    Malformed("zarr-without-obs", _zarr_without_obs, r"not an AnnData.*'obs'"),
    Malformed("hdf5-not-anndata", _plain_hdf5, r"not an AnnData.*'obs'"),
    Malformed("no-obs", _edited(_drop_obs), r"not an AnnData.*'obs'"),
    Malformed("old-obs", _edited(_old_frame), r"'obs'.*not a data frame"),
    Malformed("no-index", _edited(_no_index), r"obs of screen\.h5ad cannot be read"),
    Malformed("no-X", _edited(_drop_x), r"no X and no layers"),
    Malformed("X-of-other-length", _edited(_fewer_cells), r"X .*"),
    Malformed("dense-X-of-other-length", _fewer_rows_dense, r"X is 12 x 8.*20 cells x 8 genes"),
    Malformed("gene-index-out-of-range", _edited(_wild_index), r"sparse counts are inconsistent"),
    Malformed("row-pointer-negative", _edited(_wild_indptr), r"X|sparse counts are inconsistent"),
    Malformed("text-X", _edited(_text_matrix), r"X|not numbers"),
    Malformed("column-too-short", _edited(_short_column), r"'perturbation'.*7 values for 20 rows"),
    Malformed("code-out-of-range", _categorical(_wild_code), r"'perturbation' of obs.*cannot be"),
    Malformed("missing-category", _categorical(_missing_code), r"no label for 1 cell .*cell4"),
    Malformed("no-cells", _changed(lambda a: a[:0].copy()), r"0 cells"),
    Malformed("no-genes", _changed(lambda a: a[:, :0].copy()), r"0 genes"),
    Malformed("one-cell", _changed(lambda a: a[:1].copy()), r"only one cell"),
    Malformed("all-zero", _changed(lambda a: a.X.data.fill(0)), r"no counts at all"),
    Malformed("negative", _value(-2), r"X.*negative.*-2.*cell3.*gene2"),
    Malformed("fractional", _value(0.5), r"X.*fractional.*0\.5.*cell3.*gene2"),
    Malformed("logged", _changed(_layer_beside_logs), r"fractional.*layer='umi_counts'"),
    Malformed(
        "logged-layer", _changed(_no_counts_but_x), r"'logs'.*fractional.*X", _keys(layer="logs")
    ),
    Malformed("nan", _value(float("nan")), r"X.*nan.*cell3.*gene2"),
    Malformed("infinite", _value(float("inf")), r"X.*inf.*cell3.*gene2"),
    Malformed("enormous", _value(1e12), r"X.*count of 999,999,995,904.*cell3"),
    Malformed(
        "unknown-layer", _changed(_no_counts_but_x), r"'loggs'.*'logs'", _keys(layer="loggs")
    ),
    Malformed(
        "no-layers", _changed(lambda a: None), r"layer 'counts'.*none", _keys(layer="counts")
    ),
    Malformed("only-layers", _changed(_only_layers), r"no X.*'counts'"),
    Malformed(
        "no-key",
        _changed(lambda a: a.obs.insert(0, "label", a.obs.pop("perturbation"))),
        r"perturbation_key.*'label'",
        {},
    ),
    Malformed(
        "unknown-column",
        _changed(lambda a: None),
        r"no column of obs 'pertubation'.*'perturbation'",
        {"perturbation_key": "pertubation"},
    ),
    Malformed("unknown-dose", _column("dose", 1.0), r"'doze'.*'dose'", _keys(dose_key="doze")),
    Malformed("unknown-batch", _column("lane", "1"), r"batch_key|'lane'", _keys(batch_key="line")),
    Malformed(
        "unknown-split", _column("fold", "train"), r"'folds'.*'fold'", _keys(split_key="folds")
    ),
    Malformed(
        "unknown-symbols", _changed(lambda a: None), r"var 'symbol'", _keys(gene_symbols="symbol")
    ),
    Malformed("duplicate-cells", _changed(_repeat_names), r"cell name occurs.*'same'"),
    Malformed("duplicate-genes", _changed(_repeat_genes), r"gene name occurs.*'TP53'"),
    Malformed(
        "duplicate-symbols",
        _changed(_repeat_symbols),
        r"gene name occurs.*'STAT1'.*gene_symbols='symbol'",
        _keys(gene_symbols="symbol"),
    ),
    Malformed(
        "numeric-labels", _column("score", 0.5), r"'score'.*numbers", {"perturbation_key": "score"}
    ),
    Malformed("label-missing", _labels("ctrl", "A", "", "B"), r"no label for 1 cell .*cell2"),
    Malformed("label-nan-text", _labels("ctrl", "A", "nan"), r"no label for 1 cell .*cell2"),
    Malformed("label-separator", _labels("ctrl", "A", "+"), r"Label '\+'.*separator"),
    Malformed("label-half-empty", _labels("ctrl", "A", "A+"), r"Label 'A\+'.*empty name"),
    Malformed(
        "label-with-plus", _labels("ctrl", "CD4+_A", "A"), r"'CD4\+'.*rename", _keys(separator="_")
    ),
    Malformed("separator-empty", _labels("ctrl", "A"), r"separator is empty", _keys(separator="")),
    Malformed("no-control", _labels("none", "A", "B", "B"), r"no control cells.*'none'|'B'"),
    Malformed("control-unlike", _labels("NTx", "STAT1", "JAK2"), r"most like a control are 'NTx'"),
    Malformed(
        "control-unknown",
        _labels("ctrl", "A", "B"),
        r"labelled 'control'.*'ctrl'",
        _keys(control="control"),
    ),
    Malformed("only-controls", _labels("ctrl", "ctrl", "NT"), r"only control cells"),
    Malformed("dose-text", _doses("1", "high", "1", "1+1"), r"'dose'.*'high'.*positive", DOSE),
    Malformed("dose-negative", _doses("1", "-1", "1", "1+1"), r"'dose'.*'-1'.*positive", DOSE),
    Malformed("dose-nan", _doses("1", "nan", "1", "1+1"), r"'dose'.*cell5.*'nan'", DOSE),
    Malformed("dose-zero", _doses("1", "0", "1", "1+1"), r"'dose'.*'0'.*positive", DOSE),
    Malformed("dose-missing", _column("dose", np.nan), r"'dose'.*cell5.*no dose", DOSE),
    Malformed("dose-too-few", _doses("1", "1", "1", "1"), r"'dose'.*2 perturbations", DOSE),
    Malformed("dose-too-many", _doses("1", "1", "1+2", "1+1"), r"'dose'.*1 perturbation", DOSE),
    Malformed(
        "batch-missing",
        _column("lane", pd.Categorical(["a"] * 19 + [None])),
        r"'lane'.*no batch.*cell19",
        _keys(batch_key="lane"),
    ),
    Malformed("split-unknown", _column("fold", FOLDS), r"'fold'.*'train2' and 'later'", SPLIT),
    Malformed("split-untrained", _column("fold", "test"), r"'fold'.*no 'train' cells", SPLIT),
]
