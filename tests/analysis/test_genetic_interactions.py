from __future__ import annotations

from pathlib import Path

import anndata as ad
import dcor
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import TheilSenRegressor

from sams_core.analysis.distance_correlation import bivariate, univariate
from sams_core.analysis.genetic_interactions import SCORES, interaction_scores, scored_genes
from sams_core.analysis.theil_sen import fit_pairs
from sams_core.errors import ConfigError
from tests.conftest import ROOT

N_GENES = 60


def draws(n_draws: int = 40, spread: float = 0.05, seed: int = 0) -> list[np.ndarray]:
    """Posterior draws of two singles' effects."""
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(2, 1, N_GENES))
    return list(means + spread * generator.normal(size=(2, n_draws, N_GENES)))


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_theil_sen_agrees_with_scikit_learn(noise: float) -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 3, N_GENES))
    y = 0.7 * a - 0.2 * b + noise * generator.standard_t(2, size=a.shape)
    got = fit_pairs(a, b, y)
    for row in range(3):
        reference = TheilSenRegressor(
            fit_intercept=False, tol=1e-8, max_iter=2_000, max_subpopulation=1e5, random_state=0
        ).fit(np.stack([a[row], b[row]], axis=1), y[row])
        np.testing.assert_allclose(got[row], reference.coef_, atol=1e-4)


def test_theil_sen_is_near_with_some_of_the_pairs_and_with_one_regressor() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.normal(size=(2, 1, 800))
    y = 0.7 * a + 0.4 * b + 0.2 * generator.normal(size=a.shape)
    np.testing.assert_allclose(fit_pairs(a, b, y), [[0.7, 0.4]], atol=0.05)
    np.testing.assert_array_equal(fit_pairs(a, b, y), fit_pairs(a, b, y))
    alone = fit_pairs(a, 0 * b, y)
    assert alone[0, 1] == 0
    assert alone[0, 0] == pytest.approx(0.7, abs=0.1)


def test_distance_correlations_agree_with_dcor() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=(2, 4, 90))
    y = a**2 + 0.5 * b + 0.1 * generator.normal(size=a.shape)
    for row in range(4):
        points = np.stack([a[row], b[row]], axis=1)
        expected = dcor.distance_correlation(points, y[row][:, None])
        assert bivariate(a, b, y)[0][row] == pytest.approx(expected, abs=1e-9)
        naive = dcor.distance_correlation(a[row], y[row], method="naive")
        assert univariate(a, y)[row] == pytest.approx(naive, abs=1e-9)
    both = bivariate(a, b, np.zeros_like(y), y)
    assert both[0].max() == 0
    np.testing.assert_array_equal(both[1], bivariate(a, b, y)[0])


def test_scores_by_their_definition() -> None:
    a, b = (part[:1] for part in draws())
    ab = 0.5 * a + 1.2 * b + 0.2 * np.sin(5 * a)
    table = interaction_scores(a, b, ab, names=("X", "Y"))
    assert list(table.index) == [*SCORES, "c1", "c2"]
    value = table["value"]
    np.testing.assert_allclose(value[["c1", "c2"]], fit_pairs(a, b, ab)[0])
    c1, c2 = value["c1"], value["c2"]
    assert value["magnitude"] == pytest.approx(np.sqrt(c1**2 + c2**2))
    assert value["dominance"] == pytest.approx(abs(np.log10(c1 / c2)))
    fit = dcor.distance_correlation(c1 * a[0] + c2 * b[0], ab[0])
    assert value["model_fit"] == pytest.approx(fit)
    singles = [dcor.distance_correlation(part[0], ab[0]) for part in (a, b)]
    assert value["equality"] == pytest.approx(min(singles) / max(singles))
    assert table[["lower", "upper"]].isna().all(axis=None)
    assert not table["differs"].any()
    assert "1.41 for a sum" in table["sentence"]["magnitude"]


def test_a_sum_has_no_interaction() -> None:
    a, b = draws()
    table = interaction_scores(a, b, a + b)
    np.testing.assert_allclose(table["value"][["magnitude", "model_fit"]], [np.sqrt(2), 1])
    np.testing.assert_allclose(table["value"][["dominance"]], 0, atol=1e-9)
    np.testing.assert_allclose(table["value"], table["additive"], atol=1e-9)
    assert not table["differs"].any()
    assert table["sentence"]["magnitude"].startswith("No interaction detectable")


@pytest.mark.parametrize(
    ("strength", "word"), [(1.5, "Synergy"), (0.5, "Suppression"), (1.0, "No interaction")]
)
def test_planted_interactions_are_called(strength: float, word: str) -> None:
    a, b = draws()
    noise = np.random.default_rng(5).normal(1.0, 0.05, size=(len(a), 1))
    table = interaction_scores(a, b, strength * noise * (a + b))
    assert table["sentence"]["magnitude"].startswith(word)
    assert bool(table["differs"]["magnitude"]) == (strength != 1)
    assert (table["lower"] <= table["value"]).all()
    assert (table["upper"] >= table["value"]).all()


def test_scores_that_a_sum_bounds_are_not_called_for_noise() -> None:
    a, b = draws()
    generator = np.random.default_rng(6)
    noisy = a + b + 0.1 * generator.normal(size=a.shape)
    assert not interaction_scores(a, b, noisy)["differs"][["model_fit", "dominance"]].any()
    unequal = interaction_scores(a, b, a + 0.5 * b + 0.1 * generator.normal(size=a.shape))
    assert unequal["differs"]["dominance"]
    slight = interaction_scores(a, b, 1.03 * (a + b))
    assert slight["sentence"]["magnitude"].startswith("No interaction to speak of")


def test_one_that_dominates_and_a_new_effect_are_told() -> None:
    a, b = draws()
    dominated = interaction_scores(a, b, a + 0.02 * b, names=("X", "Y"))
    assert "mostly like X" in dominated["sentence"]["equality"]
    assert "fold" in dominated["sentence"]["dominance"]
    other = np.random.default_rng(9).normal(size=(1, N_GENES))
    new = interaction_scores(a, b, 0.3 * (a + b) + 2 * other)
    assert "no weighted sum" in new["sentence"]["model_fit"]
    assert new["differs"]["model_fit"]


def test_a_single_without_effect_is_not_scored() -> None:
    a, b = draws()
    table = interaction_scores(a, 0 * b, a, names=("X", "Y"))
    assert table["value"].isna().all()
    assert (table["sentence"] == "No score: Y alone has no effect to compare with.").all()


def test_bad_effects_are_refused() -> None:
    a, b = draws()
    with pytest.raises(ConfigError, match="same draws and genes"):
        interaction_scores(a, b, b[:3])
    with pytest.raises(ConfigError, match="Only 5 genes"):
        interaction_scores(a[:, :5], b[:, :5], b[:, :5])
    with pytest.raises(ConfigError, match="not a number"):
        interaction_scores(a, b, b * np.nan)


def test_scored_genes_are_detected_and_not_perturbed() -> None:
    var = pd.DataFrame(
        {"frac_detected": [0.9, 0.05, 0.5, 0.1], "symbol": ["A", "B", "C", "D"]},
        index=["e0", "e1", "e2", "e3"],
    )
    effects = ad.AnnData(np.zeros((1, 4)), var=var)
    np.testing.assert_array_equal(scored_genes(effects, ["C", "e0"]), [False, False, False, True])


def test_published_scores_have_the_definitions_used_here(shared_data: Path) -> None:
    published = pd.read_csv(shared_data / "norman2019_genetic_interactions.csv")
    c1, c2 = (published[f"ts_coef_{which}"] for which in ("first", "second"))
    np.testing.assert_allclose(np.hypot(c1, c2), published["ts_norm2"])
    ratio = np.abs(np.log10(np.abs(c1 / c2)))
    np.testing.assert_allclose(ratio, published["abs_log_ts_ratio"])


def test_equality_of_measured_pairs_is_near_the_published_one(shared_data: Path) -> None:
    """Five pairs, a hundred cells each, on a tenth of the genes: other scores are too noisy."""
    published = pd.read_csv(shared_data / "norman2019_genetic_interactions.csv", index_col="name")
    path = ROOT / "assets" / "checkpoints" / "norman2019_k562" / "explorer" / "effects.h5ad"
    effects = ad.read_h5ad(path)
    measured = pd.DataFrame(
        effects.layers["data_ate"], effects.obs_names.astype(str), effects.var_names
    )
    ours, theirs = [], []
    for pair in measured.index[effects.obs["n_perturbations"] == 2]:
        names = str(pair).split("+")
        row = published.index.intersection(["_".join(names), "_".join(names[::-1])])
        if not set(names) <= set(measured.index) or row.empty:
            continue
        genes = scored_genes(effects, names)
        a, b, ab = (measured.loc[[name], genes].to_numpy() for name in (*names, pair))
        ours.append(interaction_scores(a, b, ab)["value"]["equality"])
        singles = published.loc[row[0], ["dcor_first", "dcor_second"]].astype(float)
        theirs.append(singles.min() / singles.max())
    assert len(ours) >= 4
    assert np.corrcoef(ours, theirs)[0, 1] > 0.6
