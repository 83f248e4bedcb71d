"""What a model expects to be measured, against the screen drawn again and by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sams_core.analysis.effect_predictive import doses_of_condition, predict_measurement
from sams_core.analysis.effects import model_ate
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE
from tests.support.small_models import small_variant

SIZES = np.array([300.0, 500.0, 800.0])


@dataclass
class Model:
    """What is read of a trained model."""

    module: PerturbationVAE
    library_sizes: np.ndarray = field(default_factory=lambda: SIZES)

    @property
    def perturbation_names(self) -> pd.Index:
        return pd.Index([f"P{i}" for i in range(self.module.n_perturbations)])

    @property
    def gene_names(self) -> pd.Index:
        return pd.Index([f"G{i}" for i in range(self.module.n_genes)])


def ate(module: PerturbationVAE, doses: list[float], n: int = 4000) -> np.ndarray:
    return model_ate(module, [doses], library_size=SIZES, n_particles=n, seed=9).mean[0]


def drawn_again(
    module: PerturbationVAE, doses: list[float], n_cells: int, n_control: int, n: int, seed: int
) -> np.ndarray:
    """Effects of whole screens drawn cell by cell with numpy: E and M once a screen. (n, G)."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    dosage = torch.tensor([doses])
    concentration = module.log_concentration.exp().detach().numpy()

    def mean(shift: torch.Tensor, dosages: torch.Tensor, cells: int) -> np.ndarray:
        basal = torch.randn(cells, 1, module.n_latent, generator=generator)
        state = module.state(basal, shift.expand_as(basal), dosages)
        share = module.log_proportions(state).exp()[:, 0].numpy().astype(float)
        rate = share * rng.choice(SIZES, cells)[:, None]
        counts = rng.poisson(rng.gamma(concentration, rate / concentration))
        total = np.maximum(counts.sum(1, keepdims=True), 1)
        return np.log2(1e4 * counts / total + 1).mean(0)

    effects = []
    with torch.no_grad():
        for _ in range(n):
            shift = module.shift(dosage, module.sample_shift_parameters(1, generator))  # (1, 1, L)
            still = torch.zeros_like(dosage)
            control = mean(torch.zeros_like(shift), still, n_control)
            effects.append(mean(shift, dosage, n_cells) - control)
    return np.array(effects)


@pytest.mark.parametrize(
    ("variant", "n_cells"),
    [
        ("sams_vae correlated", 25),
        ("cpa_vae mean_field", 25),
        ("conditional_vae", 25),
        ("svae_plus", 4),
    ],
)
def test_replicates_are_distributed_as_screens_drawn_again(variant: str, n_cells: int) -> None:
    module = small_variant(variant)
    doses = [1.0, 0.5, 0.0]
    got = predict_measurement(
        Model(module), "P0+P1@0.5", n_cells=n_cells, n_control=40, expected=ate(module, doses)
    )
    again = drawn_again(module, doses, n_cells, 40, 250, seed=3)
    spread = got.replicates.std(0)
    np.testing.assert_allclose(got.replicates.mean(0), again.mean(0), atol=5 * spread.max() / 16)
    np.testing.assert_allclose(spread, again.std(0), rtol=0.25)
    tails = [0.05, 0.25, 0.75, 0.95]
    apart = np.quantile(got.replicates, tails, axis=0) - np.quantile(again, tails, axis=0)
    assert np.abs(apart / spread).max() < 0.55
    below = (got.replicates[:, None] < again[None]).mean(0)
    assert stats.kstest(below[:, :6].ravel(), "uniform").statistic < 0.08


def test_draws_are_centred_and_many_cells_leave_only_what_the_guide_is_unsure_of() -> None:
    module = small_variant()
    expected = np.linspace(-1, 1, module.n_genes)
    few, many = (
        predict_measurement(
            Model(module), "P0", n_cells=n, n_control=n, expected=expected, n_replicates=400
        )
        for n in (10, 10**5)
    )
    np.testing.assert_allclose(few.effects.mean(0), expected, atol=1e-9)
    np.testing.assert_array_equal(few.effects, many.effects)
    close = np.abs(many.replicates - np.tile(many.effects, (2, 1)))
    assert close[:, expected > -0.5].max() < 0.1
    assert (few.replicates.std(0) > 1.1 * many.replicates.std(0)).all()


def test_a_closed_mask_leaves_the_guide_sure() -> None:
    module = small_variant()
    got = predict_measurement(
        Model(module), "P2", n_cells=20, n_control=20, expected=np.zeros(module.n_genes)
    )
    assert np.abs(got.effects).max() < 1e-5
    assert got.replicates.std(0).min() > 0.01


def test_genes_that_no_simulated_cell_has_are_not_resolved() -> None:
    module = small_variant()
    with torch.no_grad():
        module.decoder_head.bias[3] = -30.0
    got = predict_measurement(
        Model(module), "P0", n_cells=20, n_control=20, expected=np.zeros(module.n_genes)
    )
    assert list(np.flatnonzero(~got.resolved)) == [3]
    assert np.abs(got.replicates[:, 3]).max() == 0


def test_the_same_seed_draws_the_same() -> None:
    module = small_variant()
    once, twice, other = (
        predict_measurement(
            Model(module), "P0", n_cells=9, n_control=9, expected=np.zeros(12), seed=seed,
            n_replicates=50,
        )
        for seed in (1, 1, 2)
    )  # fmt: skip
    np.testing.assert_array_equal(once.replicates, twice.replicates)
    assert not np.array_equal(once.replicates, other.replicates)


def test_without_cells_there_is_nothing_to_expect() -> None:
    with pytest.raises(ConfigError, match="No cells of 'P0'"):
        predict_measurement(
            Model(small_variant()), "P0", n_cells=0, n_control=5, expected=np.zeros(12)
        )


@pytest.mark.parametrize(
    ("name", "doses"),
    [
        ("A", {"A": 1.0}),
        ("A+B", {"A": 1.0, "B": 1.0}),
        ("A@0.5+B", {"A": 0.5, "B": 1.0}),
        ("C+D", {"C+D": 1.0}),
        ("A+C+D@2", {"A": 1.0, "C+D": 2.0}),
        ("x@y", {"x@y": 1.0}),
    ],
)
def test_names_of_conditions(name: str, doses: dict[str, float]) -> None:
    assert doses_of_condition(name, ["A", "B", "C+D", "x@y"]) == doses


@pytest.mark.parametrize("name", ["Z", "A+Z", "A@much", "", "A@nan"])
def test_unknown_names_are_told(name: str) -> None:
    with pytest.raises(ConfigError, match="does not know"):
        doses_of_condition(name, ["A", "B"])
