from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from sams_core.analysis.differential import (
    adjust,
    differential_expression,
    group_statistics,
    log_normalise,
)


def made_up_counts(seed: int = 0, n: int = 240, genes: int = 30) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mean = rng.gamma(0.6, 2.0, genes)
    return rng.negative_binomial(2, 2 / (2 + mean), (n, genes)).astype(np.int32)


def made_up_groups(seed: int = 1, n: int = 240) -> pd.Categorical:
    rng = np.random.default_rng(seed)
    return pd.Categorical(rng.choice(["ctrl", "A", "B", "A+B"], n, p=[0.4, 0.3, 0.2, 0.1]))


def dense_log(counts: np.ndarray) -> np.ndarray:
    return np.log2(1e4 * counts / counts.sum(axis=1, keepdims=True) + 1)


def test_log_normalise_is_the_formula_and_stays_sparse() -> None:
    counts = made_up_counts()
    counts[3] = 0
    values = log_normalise(sparse.csr_matrix(counts))
    assert values.nnz == np.count_nonzero(counts)
    expected = dense_log(np.delete(counts, 3, axis=0))
    np.testing.assert_allclose(np.delete(values.toarray(), 3, axis=0), expected, rtol=1e-12)
    assert not values[3].toarray().any()


@pytest.mark.parametrize("chunk_cells", [7, 240, 10_000])
def test_moments_match_dense_numpy(chunk_cells: int) -> None:
    counts, groups = made_up_counts(), made_up_groups()
    got = group_statistics(sparse.csr_matrix(counts), groups, chunk_cells=chunk_cells)
    values = dense_log(counts)
    for row, name in enumerate(got.groups):
        chosen = values[np.asarray(groups) == name]
        assert got.n_cells[row] == len(chosen)
        np.testing.assert_allclose(got.mean[row], chosen.mean(0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(got.variance[row], chosen.var(0, ddof=1), rtol=1e-9, atol=1e-12)


def test_a_subset_of_cells_equals_the_screen_of_those_cells() -> None:
    counts, groups = made_up_counts(), made_up_groups()
    cells = np.random.default_rng(5).random(len(counts)) < 0.5
    masked = group_statistics(sparse.csr_matrix(counts), groups, cells=cells)
    alone = group_statistics(sparse.csr_matrix(counts[cells]), groups[cells])
    np.testing.assert_array_equal(masked.n_cells, alone.n_cells)
    np.testing.assert_allclose(masked.mean, alone.mean, rtol=1e-12)
    np.testing.assert_allclose(masked.variance, alone.variance, rtol=1e-9, atol=1e-12)


def test_welch_matches_scipy_on_dense_data() -> None:
    counts, groups = made_up_counts(), made_up_groups()
    got = differential_expression(group_statistics(sparse.csr_matrix(counts), groups), "ctrl")
    values, labels = dense_log(counts), np.asarray(groups)
    assert list(got.conditions) == ["A", "A+B", "B"]
    for row, name in enumerate(got.conditions):
        test = stats.ttest_ind(values[labels == name], values[labels == "ctrl"], equal_var=False)
        np.testing.assert_allclose(got.statistic[row], test.statistic, rtol=1e-8)
        np.testing.assert_allclose(got.p_value[row], test.pvalue, rtol=1e-8)
        np.testing.assert_allclose(got.standard_error[row], got.effect[row] / test.statistic)
        np.testing.assert_allclose(got.fdr[row], stats.false_discovery_control(test.pvalue))


def test_statistic_and_sign_match_scanpy() -> None:
    counts, groups = made_up_counts(), made_up_groups()
    got = differential_expression(group_statistics(sparse.csr_matrix(counts), groups), "ctrl")
    obs = pd.DataFrame({"group": groups}, index=[f"c{i}" for i in range(len(counts))])
    adata = ad.AnnData(dense_log(counts) * np.log(2), obs=obs)
    adata.uns["log1p"] = {"base": None}
    sc.tl.rank_genes_groups(adata, "group", reference="ctrl", method="t-test")
    for row, name in enumerate(got.conditions):
        table = sc.get.rank_genes_groups_df(adata, name).set_index("names").loc[adata.var_names]
        np.testing.assert_allclose(got.statistic[row], table["scores"], rtol=1e-4)
        np.testing.assert_allclose(got.fdr[row], table["pvals_adj"], rtol=1e-4)
        called = got.fdr[row] < 0.05
        assert np.array_equal(
            np.sign(got.effect[row, called]), np.sign(table["logfoldchanges"].to_numpy()[called])
        )


def test_small_groups_and_constant_genes_are_not_tested() -> None:
    counts = np.array(
        [[5, 0, 5, 0], [5, 0, 4, 1], [5, 0, 3, 2], [5, 0, 5, 0], [5, 0, 2, 3], [0, 5, 5, 0]]
    )
    groups = pd.Categorical(
        ["ctrl", "ctrl", "ctrl", "pair", "pair", "one"], categories=["ctrl", "pair", "one", "none"]
    )
    got = differential_expression(group_statistics(sparse.csr_matrix(counts), groups), "ctrl")
    pair, one, none = (got.conditions.get_loc(name) for name in ["pair", "one", "none"])
    assert got.statistic[pair, 0] == 0
    assert got.p_value[pair, 1] == 1
    assert np.isfinite(got.fdr[pair]).all()
    assert np.isfinite(got.effect[one]).all()
    assert np.isnan(got.fdr[one]).all()
    assert np.isnan(got.standard_error[one]).all()
    assert np.isnan(got.effect[none]).all()
    assert np.isnan(got.p_value[none]).all()
    np.testing.assert_array_equal(got.n_cells, [2, 1, 0])
    np.testing.assert_array_equal(got.n_significant(1.1), [4, 0, 0])


def test_two_different_constants_have_no_p_value() -> None:
    counts = np.array([[5, 5], [5, 5], [8, 2], [8, 2]])
    groups = pd.Categorical(["ctrl", "ctrl", "A", "A"])
    got = differential_expression(group_statistics(sparse.csr_matrix(counts), groups), "ctrl")
    assert np.isnan(got.p_value).all()
    assert (got.effect != 0).all()


def test_adjustment_ignores_missing_values() -> None:
    p = np.array([[0.01, np.nan, 0.04, 0.5], [np.nan] * 4])
    got = adjust(p)
    np.testing.assert_allclose(got[0, [0, 2, 3]], stats.false_discovery_control(p[0, [0, 2, 3]]))
    assert np.isnan(got[0, 1])
    assert np.isnan(got[1]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_order_of_cells_and_genes_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts, groups = made_up_counts(seed, n=60, genes=8), made_up_groups(seed, n=60)
    groups = groups.set_categories(["ctrl", "A", "B", "A+B"])
    counts[:, 0] += 1
    cells, genes = rng.permutation(60), rng.permutation(8)
    plain = differential_expression(group_statistics(sparse.csr_matrix(counts), groups), "ctrl")
    moved = differential_expression(
        group_statistics(sparse.csr_matrix(counts[cells][:, genes]), groups[cells]), "ctrl"
    )
    for field in ["effect", "standard_error", "statistic", "p_value", "fdr"]:
        np.testing.assert_allclose(
            getattr(moved, field), getattr(plain, field)[:, genes], rtol=1e-7, atol=1e-12
        )


def test_data_ate_equals_the_stored_numbers(shared_fixtures: Path) -> None:
    stored = np.load(shared_fixtures / "data_and_metrics.npz")
    adata = ad.read_h5ad(shared_fixtures / "tiny.h5ad")
    counts = sparse.csr_matrix(adata.X)
    groups = pd.Categorical(adata.obs["perturbation"])
    names = pd.Index(stored["data_ate_names"])
    control = str(adata.uns["control"])
    got = differential_expression(group_statistics(counts, groups), control, names)
    np.testing.assert_allclose(got.effect, stored["data_ate_perturbseq"], rtol=1e-4, atol=1e-5)
