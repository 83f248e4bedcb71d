from __future__ import annotations

import numpy as np
import pytest

from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.genetic_interactions import interaction_scores
from sams_core.errors import ConfigError
from tests.support.loaded_models import small_model


@pytest.mark.parametrize("doses", [None, {"p1": 0.5}])
@pytest.mark.parametrize("variant", ["sams_vae correlated", "cpa_vae mean_field"])
def test_draws_have_the_moments_of_the_prediction(
    variant: str, doses: dict[str, float] | None
) -> None:
    model = small_model(variant, n_genes=30)
    table = predict_combination(model, ["p1", "p0"], doses=doses, n_particles=4_000).table
    draws = np.stack(
        [combination_draws(model, ["p1", "p0"], doses=doses, seed=seed) for seed in range(30)], 1
    )
    assert draws.shape == (3, 30, 64, 30)
    means = draws.mean(2)  # (3, seeds, G)
    error = np.hypot(means.std(1) / np.sqrt(30), table["predicted_se"].to_numpy())
    for row, name in enumerate(["p1", "p0", "predicted"]):
        assert (np.abs(means[row].mean(0) - table[name]) < 4.5 * error[row] + 0.01).all()
    spread = np.sqrt(np.square(draws.std(2)).mean(1))  # (3, G)
    for row, name in enumerate(["p1", "p0", "predicted"]):
        np.testing.assert_allclose(spread[row], table[f"{name}_sd"], rtol=0.25, atol=0.03)


def test_a_closed_partner_adds_nothing_in_any_draw() -> None:
    model = small_model(n_genes=30)
    first, closed, double = combination_draws(model, ["p0", "p2"], n_draws=8)
    assert np.abs(closed).max() < 1e-5
    np.testing.assert_allclose(double, first, atol=1e-5)
    table = interaction_scores(first, closed, double, names=("p0", "p2"))
    assert "p2 alone has no effect" in table["sentence"]["magnitude"]


def test_three_perturbations_and_the_same_draws_again() -> None:
    model = small_model(n_perturbations=4)
    got = combination_draws(model, ["p0", "p1", "p2"], n_draws=5)
    assert got.shape == (4, 5, 12)
    np.testing.assert_array_equal(got, combination_draws(model, ["p0", "p1", "p2"], n_draws=5))


@pytest.mark.parametrize("names", [["p0"], ["p0", "p0"], ["p0", "nobody"]])
def test_what_makes_no_combination_is_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="two or more different ones"):
        combination_draws(small_model(), names)
