"""The importance-weighted bound, against closed forms, quadrature, plain loops and stored draws."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln, logsumexp
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from sams_core.analysis.iwelbo import (
    importance_bound,
    iwelbo,
    iwelbo_by_scope,
    log_weights,
    scope_cells,
)
from sams_core.data.minibatches import minibatch
from sams_core.models import Minibatch, PerturbationVAE, SAMSVAEConfig, SAMSVAEModule
from tests.support.fixture_models import FIXTURES, Fixture, load_fixture
from tests.support.tiny import VARIANTS, tiny_batch, tiny_screen, tiny_variant

SCREEN = tiny_screen()
SIZES = (SCREEN.n_genes, SCREEN.n_perturbations)


@pytest.fixture(params=FIXTURES)
def reference(request: pytest.FixtureRequest, shared_fixtures: Path) -> Fixture:
    """A fixture whose draws are those of its predictive IWELBO."""
    stored = load_fixture(shared_fixtures, request.param)
    arrays = {key.replace("iw/sample_", "iw/"): value for key, value in stored.arrays.items()}
    return replace(stored, arrays=arrays)


def test_stored_draws_give_the_stored_bound_of_every_cell(reference: Fixture) -> None:
    sample = reference.sample("iw")
    z_basal = reference.z_basal(reference.module.shift(reference.batch.dosages, sample), "iw")
    with torch.no_grad():
        weights = log_weights(reference.module, reference.batch, sample, lambda *_: z_basal)
    assert weights.shape[0] == 4
    np.testing.assert_allclose(importance_bound(weights), reference.arrays["iw/out"], rtol=1e-5)


def test_stored_terms_give_the_stored_loss(reference: Fixture) -> None:
    terms = [
        torch.from_numpy(value.astype(np.float64))
        for name, value in reference.arrays.items()
        if name.startswith("out/term_") and not name.endswith("zerocount")
    ]
    loss = -importance_bound(torch.stack(torch.broadcast_tensors(*terms)).sum(0)).mean()
    assert float(loss) == pytest.approx(float(reference.arrays["out/iwelbo_loss"]), rel=1e-6)


class LinearGaussian(SAMSVAEModule):
    """``x ~ N(W z, noise^2 I)`` with orthogonal loadings, so that the posterior is diagonal."""

    noise, widening = 1.5, 1.0

    @property
    def loadings(self) -> Tensor:
        """(G, L)."""
        generator = torch.Generator().manual_seed(5)
        wild = torch.randn(self.n_genes, self.n_latent, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(wild).Q * torch.tensor([2.0, 0.7, 1.3], dtype=torch.float64)

    def log_likelihood(
        self, state: Tensor, batch: Minibatch, constant: Tensor | None = None
    ) -> Tensor:
        return Normal(state @ self.loadings.T, self.noise).log_prob(batch.counts).sum(-1)

    def encode(
        self, batch: Minibatch, shift: Tensor, read: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        W = self.loadings
        precision = 1 + W.square().sum(0) / self.noise**2
        loc = (batch.counts - shift @ W.T) @ W / self.noise**2 / precision
        return loc, (precision.rsqrt() * self.widening).expand_as(loc)

    def marginal(self, batch: Minibatch, shift: Tensor) -> Tensor:
        """Exact ``log p(x | E, M)``, (K, n)."""
        W = self.loadings
        covariance = W @ W.T + self.noise**2 * torch.eye(self.n_genes, dtype=torch.float64)
        return MultivariateNormal(shift @ W.T, covariance).log_prob(batch.counts)


def linear_gaussian() -> LinearGaussian:
    torch.manual_seed(1)
    config = SAMSVAEConfig(n_latent=3, n_hidden=4, embedding_n_hidden=4)
    return LinearGaussian(config, *SIZES).double()


@pytest.mark.parametrize("n_particles", [1, 7])
def test_is_the_marginal_likelihood_where_the_guide_is_the_posterior(n_particles: int) -> None:
    module, cells = linear_gaussian(), np.arange(0, SCREEN.n_cells, 9)
    got = iwelbo(module, SCREEN, cells, n_particles=n_particles, seed=3, max_elements=500)
    batch = minibatch(SCREEN, cells).to("cpu", torch.float64)
    with torch.no_grad():
        sample = module.sample_shift_parameters(n_particles, torch.Generator().manual_seed(3))
        exact = module.marginal(batch, module.shift(batch.dosages, sample)).numpy()
    assert exact.std(0)[batch.dosages.any(1)].min() > 0 or n_particles == 1
    np.testing.assert_allclose(got, logsumexp(exact, axis=0) - math.log(n_particles), rtol=1e-12)


def test_nears_the_marginal_likelihood_from_below_with_a_wide_guide() -> None:
    module, controls = linear_gaussian(), np.flatnonzero(SCREEN.is_control)[:20]
    module.widening = 1.6
    batch = minibatch(SCREEN, controls).to("cpu", torch.float64)
    exact = float(module.marginal(batch, torch.zeros(1, 1, 3).double()).mean())
    means = [
        float(iwelbo(module, SCREEN, controls, n_particles=k, seed=8).mean())
        for k in (1, 10, 10_000)
    ]
    assert means[0] < means[1] - 0.3 < exact - 0.3
    assert means[2] == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("variant", ["sams_vae correlated", "svae_plus", "conditional_vae"])
def test_agrees_with_quadrature(variant: str) -> None:
    """Two latents, given one draw of E and M: Gauss-Hermite quadrature over z_basal."""
    module = tiny_variant(variant, n_latent=2)
    batch = tiny_batch(module, n=4)
    with torch.no_grad():
        for head in (module.basal_head.mean, module.basal_head.log_variance):
            head.weight.zero_()
            head.bias.fill_(0.3)
        one = module.sample_shift_parameters(1, torch.Generator().manual_seed(0))
        nodes, weights = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(60))
        grid = torch.cartesian_prod(nodes, nodes)[:, None].expand(-1, len(batch), -1)
        log_weight = (weights / weights.sum()).log()
        log_grid = (log_weight[:, None] + log_weight).reshape(-1, 1)
        shift = module.shift(batch.dosages, one)
        states = module.state(grid, shift.expand_as(grid), batch.dosages)
        exact = torch.logsumexp(module.log_likelihood(states, batch) + log_grid, 0)
        many = replace(one, mask=one.mask.expand(20_000, -1, -1),
                       embedding=one.embedding.expand(20_000, -1, -1))  # fmt: skip
        torch.manual_seed(4)
        drawn = log_weights(module, batch, many, lambda loc, scale: torch.normal(loc, scale))
    spread = (drawn - drawn.logsumexp(0)).exp().mul(len(drawn)).std(0) / math.sqrt(len(drawn))
    assert spread.max() < 0.02
    assert ((importance_bound(drawn) - exact).abs() < 5 * spread).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_agrees_with_a_plain_loop_in_float64(variant: str) -> None:
    module, K = tiny_variant(variant, n_genes=SIZES[0], n_perturbations=SIZES[1]), 3
    cells = np.flatnonzero(np.diff(SCREEN.dosages.indptr) != 1)[::20]
    got = iwelbo(module, SCREEN, cells, n_particles=K, seed=2)
    batch = minibatch(SCREEN, cells).to("cpu", torch.float64)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        sample = module.sample_shift_parameters(K, generator)
        noise = torch.randn((K, len(cells), 3), generator=generator, dtype=torch.float64)
        weights = np.array([
            [_log_weight(module, batch, i, effect, noise[k, i]) for i in range(len(cells))]
            for k, effect in enumerate(sample.effect)
        ])  # fmt: skip
    expected = logsumexp(weights, axis=0) - math.log(K)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def _log_weight(
    module: PerturbationVAE, batch: Minibatch, i: int, effect: Tensor, noise: Tensor
) -> float:
    """``log p(x | z) p(z) / q(z)`` of one cell at one draw, by the textbook's formulae."""
    cell = Minibatch(batch.counts[[i]], batch.dosages[[i]], batch.library_size[[i]])
    shift = cell.dosages[0] @ effect
    loc, scale = (value[0, 0] for value in module.encode(cell, shift[None, None]))
    z = loc + scale * noise
    state = module.state(z[None, None], shift[None, None], cell.dosages)
    log_mean = module.log_expected_counts(state, cell.library_size)[0, 0].numpy()
    theta, x = module.log_concentration.exp().numpy(), cell.counts[0].numpy()
    total = np.log(theta + np.exp(log_mean))
    likelihood = gammaln(x + theta) - gammaln(theta) - gammaln(x + 1)
    likelihood += theta * (np.log(theta) - total) + x * (log_mean - total)
    ratio = Normal(0, 1).log_prob(z) - Normal(loc, scale).log_prob(z)
    return float(likelihood.sum()) + float(ratio.sum())


@given(
    hnp.arrays(np.float64, (12, 3), elements=st.floats(-800, 300)),
    st.sampled_from([(1, 2), (2, 4), (3, 12), (1, 12), (4, 12)]),
)
def test_never_falls_with_more_particles(weights: np.ndarray, sizes: tuple[int, int]) -> None:
    """Over all draws in common, the mean bound of disjoint parts is at most that of larger ones."""
    few, many = (
        np.mean(
            [importance_bound(torch.from_numpy(part)) for part in np.split(weights, 12 // k)], 0
        )
        for k in sizes
    )
    assert (few <= many + 1e-9).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_rises_with_particles(variant: str) -> None:
    module = tiny_variant(variant, n_genes=SIZES[0], n_perturbations=SIZES[1])
    batch = minibatch(SCREEN, np.arange(30)).to("cpu", torch.float64)
    torch.manual_seed(0)
    with torch.no_grad():
        sample = module.sample_shift_parameters(64)
        drawn = log_weights(module, batch, sample, lambda loc, scale: torch.normal(loc, scale))
    bounds = [
        torch.stack([importance_bound(part).mean() for part in drawn.split(k)]).mean()
        for k in (1, 4, 16, 64)
    ]
    assert all(a < b for a, b in itertools.pairwise(bounds))


def test_perturbations_are_not_scored_against_their_priors() -> None:
    module = tiny_variant("sams_vae correlated", n_genes=SIZES[0], n_perturbations=SIZES[1])
    first = iwelbo(module, SCREEN, np.arange(25), n_particles=5)
    object.__setattr__(module.config, "mask_prior", 0.9)
    object.__setattr__(module.config, "embedding_prior_scale", 7.0)
    np.testing.assert_array_equal(first, iwelbo(module, SCREEN, np.arange(25), n_particles=5))


def test_draws_of_perturbations_are_common_to_all_parts() -> None:
    """With the posterior as guide nothing but E and M is left to chance."""
    module, cells, shares = linear_gaussian(), np.arange(40), list[float]()
    width = max(module.config.n_hidden, module.n_latent, module.n_genes)
    whole = iwelbo(module, SCREEN, cells, n_particles=11)
    parts = iwelbo(
        module, SCREEN, cells, n_particles=11, max_elements=width * 7, progress=shares.append
    )
    np.testing.assert_allclose(whole, parts, rtol=1e-12)
    assert (len(shares), shares[-1]) == (6, 1.0)


def test_scopes_of_cells() -> None:
    conditions = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    split = np.array(["train", "val", "test", "test", "train", "test", "test", "unused"], object)
    found = {name: list(np.flatnonzero(cells)) for name, cells in
             scope_cells(conditions, split).items()}  # fmt: skip
    assert found == {"val": [1], "test": [2, 3, 5, 6], "test_seen": [2, 3], "test_unseen": [5, 6]}


def test_means_by_scope() -> None:
    module = tiny_variant("cpa_vae correlated_z", n_genes=SIZES[0], n_perturbations=SIZES[1])
    names = np.asarray(SCREEN.conditions)
    split = np.where(np.arange(SCREEN.n_cells) % 3 == 0, "test", "train").astype(object)
    split[names == "P001"] = "test"
    got = iwelbo_by_scope(module, SCREEN, split, n_particles=4, seed=6)
    test = np.flatnonzero(split == "test")
    each = iwelbo(module, SCREEN, test, n_particles=4, seed=6)
    assert got == {
        "val": None,
        "test": pytest.approx(each.mean()),
        "test_seen": pytest.approx(each[names[test] != "P001"].mean()),
        "test_unseen": pytest.approx(each[names[test] == "P001"].mean()),
    }
