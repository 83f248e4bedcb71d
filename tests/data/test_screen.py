"""The Screen: counts, doses, annotations, and its invariants."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sams_core.data import Screen, SimulationConfig, simulate_screen
from sams_core.data.totals import row_sums
from sams_core.errors import ScreenError
from tests.data.builders import labelled, tiny


def read(adata: AnnData, **options: Any) -> Screen:
    return Screen.from_anndata(adata, **{"perturbation_key": "perturbation"} | options)


def assert_same_screen(one: Screen, other: Screen) -> None:
    assert one.fingerprint() == other.fingerprint()
    assert list(one.conditions) == list(other.conditions)
    assert list(one.conditions.categories) == list(other.conditions.categories)
    assert one.control == other.control
    for field in ("batch", "split"):
        mine, theirs = getattr(one, field), getattr(other, field)
        assert (mine is None) == (theirs is None)
        assert mine is None or list(mine) == list(theirs)
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)


def test_plain_screen() -> None:
    adata = tiny()
    screen = read(adata)
    assert (screen.n_cells, screen.n_genes, screen.n_perturbations) == (20, 8, 2)
    assert screen.counts.dtype == np.uint8
    np.testing.assert_array_equal(screen.counts.toarray(), adata.X.toarray())
    expected = np.repeat([[0, 0], [1, 0], [0, 1], [1, 1]], 5, axis=0)
    np.testing.assert_array_equal(screen.dosages.toarray(), expected)
    assert screen.dosages.dtype == np.float32
    assert list(screen.conditions.categories) == ["ctrl", "A", "B", "A+B"]
    assert screen.control == "ctrl"
    assert screen.is_control.sum() == 5
    np.testing.assert_array_equal(screen.library_size, adata.X.sum(axis=1).A1)
    assert screen.library_size.dtype == np.float64
    assert screen.batch is None
    assert screen.split is None
    assert not screen.simulated
    assert screen.truth is None
    assert screen.source is None


def test_fields_cannot_be_reassigned() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read(tiny()).control = "other"  # type: ignore[misc]


def as_stored(kind: str, counts: np.ndarray) -> Any:
    if kind in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        return getattr(sparse, kind)(counts)
    if kind == "fortran":
        return np.asfortranarray(counts)
    return counts.astype(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *["csr_matrix", "csc_matrix", "csr_array", "csc_array", "fortran"],
        *["float64", "float32", "float16", "int64", "int8", "uint16", "bool"],
    ],
)
def test_every_kind_of_matrix_reads_alike(kind: str) -> None:
    adata = tiny()
    counts = adata.X.toarray()
    if kind == "bool":
        counts = counts > 3
    expected = read(AnnData(sparse.csr_matrix(counts.astype(float)), obs=adata.obs, var=adata.var))
    stored = as_stored(kind, counts)
    before = stored.copy()
    screen = read(AnnData(stored, obs=adata.obs, var=adata.var))
    assert screen.fingerprint() == expected.fingerprint()
    assert not (stored != before).sum()


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "uint32"), (2**32 - 1, "uint32")],
)
def test_smallest_exact_type(largest: int, dtype: str) -> None:
    adata = tiny()
    adata.X = adata.X.astype(np.float64)
    adata.X[2, 3] = largest
    screen = read(adata)
    assert screen.counts.dtype == dtype
    assert screen.counts[2, 3] == largest


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_row_sums(seed: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.poisson(0.3, size=rng.integers(1, 12, size=2)).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sams_core.data.counts.CHUNK_VALUES", chunk)
        np.testing.assert_array_equal(row_sums(sparse.csr_matrix(matrix)), matrix.sum(axis=1))


def test_library_size_does_not_overflow() -> None:
    adata = tiny(n_genes=3)
    adata.X = np.full((20, 3), 2**32 - 1, dtype=np.uint32)
    np.testing.assert_array_equal(read(adata).library_size, 3.0 * (2**32 - 1))


@pytest.mark.parametrize("value", [1 - 2**-24, 1 + 2**-23, 2**22 + 0.5, 1e-30])
def test_the_check_for_whole_numbers_is_exact(value: float) -> None:
    adata = tiny()
    adata.X[1, 1] = np.float32(value)
    assert adata.X[1, 1] % 1 != 0
    with pytest.raises(ScreenError, match=r"fractional.*cell1.*gene1"):
        read(adata)


def test_duplicate_entries_add_and_stored_zeros_go() -> None:
    adata = tiny()
    csr = sparse.csr_matrix(
        (np.array([200, 100, 0] + [1] * 19, np.uint8), [1, 1, 2] + [0] * 19, [0, 3, *range(4, 23)]),
        shape=(20, 8),
    )
    adata.X = csr
    screen = read(adata)
    assert screen.counts[0, 1] == 300
    assert screen.counts.has_canonical_format
    assert screen.counts.nnz == 20


def test_all_zero_cells_are_dropped_and_told_and_unseen_genes_kept() -> None:
    adata = tiny()
    counts = adata.X.toarray()
    counts[[0, 7]] = 0
    counts[:, 4] = 0
    adata.X = sparse.csr_matrix(counts)
    screen = read(adata)
    assert screen.n_cells == 18
    assert screen.n_genes == 8
    assert "cell7" not in screen.cell_names
    assert "2 cells without any counts left out." in screen.notes
    assert (screen.library_size > 0).all()


def test_a_layer_is_read_instead_of_x() -> None:
    adata = tiny()
    adata.layers["umi"] = adata.X.copy()
    expected = read(adata).fingerprint()
    adata.X = adata.X.log1p()
    assert read(adata, layer="umi").fingerprint() == expected
    with pytest.raises(ScreenError, match=r"layer='umi'"):
        read(adata)


def test_raw_counts_elsewhere_are_pointed_to() -> None:
    adata = tiny()
    adata.raw = adata.copy()
    adata.X = adata.X.log1p()
    with pytest.raises(ScreenError, match=r"adata\.raw\.to_adata"):
        read(adata)
    adata.layers["logs"] = adata.X.copy()
    adata.X = adata.raw.X.copy()
    with pytest.raises(ScreenError, match=r"in X, so leave layer off"):
        read(adata, layer="logs")


def test_a_repeated_column_is_refused() -> None:
    adata = tiny()
    adata.obs = pd.concat([adata.obs, adata.obs], axis=1)
    with pytest.raises(ScreenError, match=r"obs column name occurs.*'perturbation'"):
        read(adata)


@pytest.mark.parametrize("numeric", [True, False])
def test_doses(numeric: bool) -> None:
    adata = labelled(["ctrl", "A", "A", "B"])
    doses = [np.nan, 0.5, 1.0, 10.0]
    adata.obs["dose"] = doses if numeric else ["", "0.5", "1", "10"]
    screen = read(adata, dose_key="dose")
    np.testing.assert_array_equal(screen.dosages.toarray(), [[0, 0], [0.5, 0], [1, 0], [0, 10]])
    assert list(screen.conditions) == ["ctrl", "A@0.5", "A", "B@10"]


def test_doses_of_combinations_follow_the_parts_as_written() -> None:
    adata = labelled(["ctrl+ctrl", "B+A", "A+B", "A+ctrl", "ctrl+A", "A+ctrl"])
    adata.obs["dose"] = ["1+1", "0.1+3", "0.1+3", "2+1", "1+2", "4"]
    screen = read(adata, dose_key="dose")
    expected: list[list[float]] = [[0, 0], [3, 0.1], [0.1, 3], [2, 0], [2, 0], [4, 0]]
    np.testing.assert_allclose(screen.dosages.toarray(), np.array(expected), rtol=1e-6)
    assert list(screen.conditions) == ["ctrl", "A@3+B@0.1", "A@0.1+B@3", "A@2", "A@2", "A@4"]


def test_batch_and_split() -> None:
    adata = labelled(["ctrl", "A", "A", "A", "A"])
    adata.obs["lane"] = [2, 1, 1, 2, 2]
    adata.obs["fold"] = ["Train", "validation", "OOD", "train", "test"]
    screen = read(adata, batch_key="lane", split_key="fold")
    assert screen.batch is not None
    assert screen.split is not None
    assert list(screen.batch) == ["2", "1", "1", "2", "2"]
    assert list(screen.split) == ["train", "val", "test", "train", "test"]
    assert list(screen.split.categories) == ["train", "val", "test"]
    assert "Split 'OOD' read as 'test'." in screen.notes
    assert list(screen.obs) == []


def test_gene_symbols() -> None:
    adata = tiny()
    adata.var["symbol"] = ["STAT1", *[f"S{i}" for i in range(6)], None]
    screen = read(adata, gene_symbols="symbol")
    assert list(screen.gene_names[[0, 1, 7]]) == ["STAT1", "S0", "gene7"]
    assert list(screen.var["gene_id"]) == list(adata.var_names)
    assert any("1 gene has no symbol" in note for note in screen.notes)


def test_annotations_can_be_written(tmp_path: Any) -> None:
    adata = tiny()
    n = adata.n_obs
    adata.obs["count"] = pd.array([1, None] * (n // 2), dtype="Int64")
    adata.obs["flag"] = pd.array([True, None] * (n // 2), dtype="boolean")
    adata.obs["when"] = pd.date_range("2024-01-01", periods=n)
    adata.obs["mixed"] = pd.Series([1, "a", None, 2.5] * (n // 4), dtype=object).to_numpy()
    adata.obs["group"] = pd.Categorical([1, 2] * (n // 2))
    adata.obs["complex"] = np.arange(n) * 1j
    adata.obs["list"] = pd.Series([[1], [2]] * (n // 2), dtype=object).to_numpy()
    adata.obs[7] = 1.5
    screen = read(adata)
    assert set(screen.obs) == {"count", "flag", "when", "mixed", "group", "complex", "list", "7"}
    assert screen.obs["mixed"].isna().sum() == 5
    assert screen.obs["count"].dtype == np.float64
    screen.to_anndata().write_h5ad(tmp_path / "screen.h5ad")


def test_round_trip() -> None:
    adata = labelled(["NT", "A", "B+A", "A", "non-targeting"])
    adata.obs["dose"] = ["", "0.3", "2+1", "1", ""]
    adata.obs["batch"] = list("xyxyx")
    adata.obs["set"] = ["train", "test", "val", "train", "train"]
    adata.obs["mito"] = np.linspace(0, 1, 5)
    keys = {"dose_key": "dose", "batch_key": "batch"}
    screen = read(adata, split_key="set", **keys)
    again = read(screen.to_anndata(), split_key="split", control=screen.control, **keys)
    assert_same_screen(screen, again)


def test_odd_names_of_annotations_can_be_written(tmp_path: Any) -> None:
    adata = labelled(["control", "A", "control", "A"])
    adata.obs.index.name = adata.var.index.name = "name"
    for column in ("_index", "name", "dose", "batch", "batch_annotation"):
        adata.obs[column] = list("xxyy")
    adata.var["name"] = "x"
    screen = read(adata, batch_key="dose", collapse_guides=False)
    written = screen.to_anndata()
    assert list(written.obs) == [
        *("perturbation", "batch", "_index_annotation", "name"),
        *("batch_annotation_annotation", "batch_annotation"),
    ]
    written.write_h5ad(tmp_path / "screen.h5ad")


def test_round_trip_renames_a_clashing_annotation() -> None:
    adata = tiny()
    adata.obs["target"] = adata.obs["perturbation"]
    screen = read(adata, perturbation_key="target")
    assert list(screen.to_anndata().obs) == ["perturbation", "perturbation_annotation"]


def test_subset() -> None:
    adata = tiny()
    adata.X[19, 0] = 3000
    adata.obs["lane"] = ["a"] * 10 + ["b"] * 10
    screen = read(adata, batch_key="lane")
    some = screen.subset(screen.is_control | (screen.conditions == "A"))
    assert some.n_cells == 10
    assert some.counts.dtype == np.uint8
    assert screen.counts.dtype == np.uint16
    assert list(some.perturbation_names) == list(screen.perturbation_names)
    assert list(some.conditions.categories) == ["ctrl", "A"]
    assert some.batch is not None
    assert list(some.batch.categories) == ["a", "b"]
    chosen = np.array([12, 3, 7])
    picked = screen.subset(chosen)
    assert list(picked.cell_names) == list(screen.cell_names[chosen])
    np.testing.assert_array_equal(picked.library_size, screen.library_size[chosen])
    assert picked.fingerprint() == read(adata, batch_key="lane").subset([12, 3, 7]).fingerprint()


@pytest.mark.parametrize(
    ("index", "match"),
    [(np.zeros(20, bool), "no cells"), ([], "no cells"), (np.ones(3, bool), "mask has shape")],
)
def test_bad_subsets_are_refused(index: Any, match: str) -> None:
    with pytest.raises(ScreenError, match=match):
        read(tiny()).subset(index)


def test_fingerprint_sees_counts_dosages_and_names() -> None:
    adata = tiny()
    original = read(adata).fingerprint()
    changes: list[AnnData] = [adata.copy() for _ in range(4)]
    changes[0].X[0, 0] += 1
    changes[1].obs["perturbation"] = changes[1].obs["perturbation"].replace("A", "B")
    changes[2].var_names = ["other", *changes[2].var_names[1:]]
    changes[3].obs_names = ["other", *changes[3].obs_names[1:]]
    assert len({original, *(read(changed).fingerprint() for changed in changes)}) == 5
    adata.obs["mito"] = 0.1
    assert read(adata).fingerprint() == original


def test_warnings() -> None:
    few = read(tiny(cells_each=3))
    assert any("2 perturbations have fewer than 50 cells" in warning for warning in few.warnings)
    alone = read(tiny(["ctrl", "A", "A+B"], cells_each=60, n_genes=60))
    assert alone.warnings == [
        "1 perturbation is seen only in combinations ('B'); what each does alone is inferred, not "
        "measured."
    ]
    assert not read(tiny(cells_each=50, n_genes=60)).warnings


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x: x * 0 + 5, "nearly the same total"),
        (lambda x: x + 1, "median of only"),
        (lambda x: x * 3, "smallest non-zero count is 3"),
        (lambda x: np.minimum(x, 1), "No count is above 1"),
    ],
)
def test_processed_counts_are_warned_of(change: Any, match: str) -> None:
    adata = tiny(cells_each=50)
    adata.X = change(adata.X.toarray())
    assert any(re.search(match, warning) for warning in read(adata).warnings)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_permuting_cells_and_genes_permutes_the_screen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    adata = labelled(["ctrl", "A", *rng.choice(["ctrl", "A", "B", "C+A", "B+C"], size=30)])
    cells, genes = rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)
    straight, permuted = read(adata), read(adata[cells][:, genes].copy())
    np.testing.assert_array_equal(
        permuted.counts.toarray(), straight.counts.toarray()[cells][:, genes]
    )
    np.testing.assert_array_equal(permuted.dosages.toarray(), straight.dosages.toarray()[cells])
    assert list(permuted.gene_names) == list(straight.gene_names[genes])
    assert list(permuted.conditions) == list(straight.conditions[cells])
    assert list(permuted.conditions.categories) == list(straight.conditions.categories)
    assert permuted.perturbation_names.equals(straight.perturbation_names)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_round_trips_of_random_screens(seed: int, with_doses: bool) -> None:
    rng = np.random.default_rng(seed)
    singles = ["A", "B", "NKX2-1", "HLA-A"]
    labels, doses = ["control", "A"], ["1", "1"]
    for _ in range(20):
        parts = rng.choice(singles, size=rng.integers(1, 4), replace=False)
        labels.append("+".join(parts))
        doses.append(
            "+".join(str(round(float(dose), 3)) for dose in rng.uniform(0.01, 9, len(parts)))
        )
    adata = labelled(labels, seed=seed)
    adata.obs["dose"] = doses
    options = {"dose_key": "dose"} if with_doses else {}
    screen = read(adata, **options)
    assert_same_screen(screen, read(screen.to_anndata(), **options))


def test_known_states_follow_their_cells() -> None:
    adata = simulate_screen(SimulationConfig(n_perturbations=3, cells_per_perturbation=5))
    counts = adata.X.toarray()
    counts[2] = 0  # a cell without counts is left out
    adata.X = sparse.csr_matrix(counts)
    truth = pd.DataFrame(adata.obsm["z_truth"], index=adata.obs_names)
    screen = read(adata)
    assert screen.n_cells == adata.n_obs - 1
    for part in (screen, screen.subset(np.arange(screen.n_cells)[::-3])):
        np.testing.assert_array_equal(part.z_truth, truth.loc[part.cell_names])
        np.testing.assert_array_equal(read(part.to_anndata()).z_truth, part.z_truth)
    adata.obsm["z_truth"] = np.full(adata.n_obs, "text").reshape(-1, 1)
    assert read(adata).z_truth is None
