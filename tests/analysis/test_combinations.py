from __future__ import annotations

from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.effects import model_ate
from sams_core.analysis.expected import expected_log_normalised
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE
from tests.analysis.conftest import PreparedRun
from tests.support.small_models import small_module


@dataclass
class Trained:
    """The little of a trained model that a prediction reads."""

    module: PerturbationVAE
    library_sizes: np.ndarray = field(default_factory=lambda: np.linspace(80.0, 400.0, 101))

    @property
    def gene_names(self) -> pd.Index:
        return pd.Index([f"g{i}" for i in range(self.module.n_genes)])

    @property
    def perturbation_names(self) -> pd.Index:
        return pd.Index(["A", "B", "closed"])


@pytest.mark.parametrize("doses", [None, {"B": 0.5}])
def test_agrees_with_posterior_predictive_draws(doses: dict[str, float] | None) -> None:
    model = Trained(small_module())
    got = predict_combination(model, ["A", "B"], doses=doses, n_particles=6_000).table
    b = (doses or {}).get("B", 1.0)
    drawn = model_ate(
        model.module,
        np.array([[1, 0, 0], [0, b, 0], [1, b, 0]]),
        library_size=model.library_sizes,
        n_particles=60_000,
    )
    for row, column in enumerate(["A", "B", "predicted"]):
        error = np.hypot(drawn.standard_error[row], got["predicted_se"])
        assert (np.abs(got[column] - drawn.mean[row]) < 4.5 * error + 0.02).all()
    assert np.abs(drawn.mean[2]).max() > 0.4


def test_parts_add_up_and_intervals_hold_the_prediction() -> None:
    table = predict_combination(Trained(small_module()), ["B", "A"]).table
    np.testing.assert_allclose(table["additive"], table["A"] + table["B"], atol=1e-6)
    interaction = table["predicted"] - table["additive"]
    np.testing.assert_allclose(table["interaction"], interaction, atol=1e-5)
    for name in ["predicted", "interaction"]:
        assert (table[f"{name}_lower"] <= table[name]).all()
        assert (table[f"{name}_upper"] >= table[name]).all()
    assert list(table.index) == [f"g{i}" for i in range(12)]


def test_a_closed_partner_changes_nothing() -> None:
    table = predict_combination(Trained(small_module()), ["A", "closed"]).table
    assert (table["closed"] == 0).all()
    assert (table["interaction"].abs() < 1e-5).all()
    np.testing.assert_allclose(table["predicted"], table["A"], atol=1e-6)
    double = predict_combination(Trained(small_module()), ["A", "B"], doses={"B": 0}).table
    assert (double["B"] == 0).all()


def test_order_of_perturbations_does_not_matter() -> None:
    model = Trained(small_module())
    one = predict_combination(model, ["A", "B"]).table
    other = predict_combination(model, ["B", "A"]).table
    pd.testing.assert_frame_equal(one, other[one.columns], atol=1e-5)


def test_intervals_match_a_nested_loop() -> None:
    """Brute force: for each draw of E and M, the mean over many cell states, computed exactly."""
    module = small_module()
    got = predict_combination(
        Trained(module), ["A", "B"], library_size=150.0, n_particles=2_000
    ).table
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        effect = module.sample_shift_parameters(400, generator).effect
        z = torch.randn(200, module.config.n_latent, generator=generator)
        states = z[None] + (effect[:, 0] + effect[:, 1])[:, None]
        library = torch.full((200,), 150.0)
        log_theta = module.log_concentration
        treated = expected_log_normalised(module.log_expected_counts(states, library), log_theta)
        control = expected_log_normalised(module.log_expected_counts(z, library), log_theta)
        draws = (treated.mean(1) - control.mean(0)).numpy()
    expected = np.quantile(draws, [0.05, 0.95], axis=0)
    width = expected[1] - expected[0]
    slack = 0.2 * width + 0.02
    assert (np.abs(got["predicted_lower"] - expected[0]) < slack).all()
    assert (np.abs(got["predicted_upper"] - expected[1]) < slack).all()
    np.testing.assert_allclose(got["predicted_sd"], draws.std(0), rtol=0.25, atol=0.01)


def test_stated_error_is_the_spread_over_seeds() -> None:
    model = Trained(small_module())
    tables = [
        predict_combination(model, ["A", "B"], n_particles=64, seed=seed).table
        for seed in range(40)
    ]
    for name in ["predicted", "interaction"]:
        spread = np.std([table[name] for table in tables], axis=0, ddof=1)
        stated = np.sqrt(np.mean([table[f"{name}_se"] ** 2 for table in tables], axis=0))
        assert 0.8 < np.sqrt(np.mean((spread / stated) ** 2)) < 1.2


def test_a_trained_model_agrees_with_its_prepared_effects(prepared: PreparedRun) -> None:
    effects = ad.read_h5ad(prepared.folder / "explorer" / "effects.h5ad")
    doubles = effects.obs_names[effects.obs["n_perturbations"] == 2]
    assert len(doubles) == 3
    for name in doubles:
        singles = effects.obs.loc[name, "perturbations"].split("+")
        table = predict_combination(prepared.model, singles).table
        assert list(table.index) == list(effects.var_names)
        for condition, column in [(name, "predicted"), *zip(singles, singles, strict=True)]:
            error = effects[condition].layers["model_se"][0] + table["predicted_se"]
            gap = np.abs(effects[condition].X[0] - table[column])
            assert (gap < 5 * error + 0.02).all()


@pytest.mark.parametrize(
    ("perturbations", "options", "message"),
    [
        (["A", "clsed"], {}, "'clsed'.*closed"),
        (["A"], {}, "at least two"),
        (["A", "A"], {}, "twice"),
        (["A", "B"], {"doses": {"C": 1.0}}, "'C'"),
        (["A", "B"], {"doses": {"A": -1.0}}, "dose of 'A'"),
        (["A", "B"], {"n_particles": 3}, "n_particles"),
    ],
)
def test_bad_requests_are_refused(
    perturbations: list[str], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        predict_combination(Trained(small_module()), perturbations, **options)  # type: ignore[arg-type]
