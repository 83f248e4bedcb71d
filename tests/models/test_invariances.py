"""What must not change a family's terms: the order of cells and of genes, and who is absent."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sams_core.models import ConditionalVAEModule, ElboTerms, Minibatch, PerturbationVAE
from sams_core.training import TrainingConfig
from sams_core.training.objective import minibatch_objective
from tests.support.slow_path import WEIGHTED
from tests.support.tiny import VARIANTS, rows_of, tiny_batch, tiny_variant

variants = st.sampled_from(VARIANTS)
seeds = st.integers(0, 10_000)
N_BATCHES = st.sampled_from([0, 3])
FEW = settings(max_examples=40, deadline=None)


def terms_at(
    module: PerturbationVAE, batch: Minibatch, noise: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Per-cell terms at global draws from ``seed`` and the given noise (P, n, L): two (P, n)."""
    with torch.no_grad():
        sample = module.sample_shift_parameters(len(noise), torch.Generator().manual_seed(seed))
        shift = module.shift(batch.dosages, sample)
        loc, scale = module.encode(batch, shift)
        z_basal = loc + scale * noise
        log_px = module.log_likelihood(module.state(z_basal, shift, batch.dosages), batch)
        return log_px, module.z_basal_term(z_basal, loc, scale)


@FEW
@given(variants, st.integers(1, 9), st.integers(0, 9), seeds, N_BATCHES)
def test_cells_are_evaluated_independently(
    variant: str, n: int, cut: int, seed: int, n_batches: int
) -> None:
    """Splitting a batch, and permuting its cells, changes no cell's terms."""
    module = tiny_variant(variant, seed=seed, n_batches=n_batches)
    batch = tiny_batch(module, n, seed)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, n, module.n_latent, dtype=torch.float64, generator=generator)
    order = torch.randperm(n, generator=generator)
    cut = min(cut, n)
    parts = [rows for rows in (order[:cut], order[cut:]) if len(rows)]
    whole = terms_at(module, batch, noise, seed)
    split = [terms_at(module, rows_of(batch, rows), noise[:, rows], seed) for rows in parts]
    for expected, *got in zip(whole, *split, strict=True):
        torch.testing.assert_close(torch.cat(got, -1), expected[:, order], rtol=1e-10, atol=1e-10)


@FEW
@given(variants, seeds, N_BATCHES)
def test_the_order_of_genes_is_arbitrary(variant: str, seed: int, n_batches: int) -> None:
    module = tiny_variant(variant, seed=seed, n_batches=n_batches)
    batch, G = tiny_batch(module, 5, seed), module.n_genes
    before = elbo(module, batch, seed)
    order = torch.randperm(G, generator=torch.Generator().manual_seed(seed))
    first = module.basal_encoder.first.weight
    with torch.no_grad():
        for values in (
            module.decoder_head.weight,
            module.decoder_head.bias,
            module.log_concentration,
            module.log_mean,
            module.log_scale,
        ):
            values.copy_(values[order].clone())
        first[:, :G] = first[:, :G][:, order].clone()
    after = elbo(module, dataclasses.replace(batch, counts=batch.counts[:, order]), seed)
    assert_same(after, before)


@FEW
@given(variants, seeds, st.sampled_from([0.0, 4.0]))
def test_a_perturbation_that_nobody_carries_contributes_nothing(
    variant: str, seed: int, cells: float
) -> None:
    """Whatever its own parameters are, and whether or not other minibatches hold it."""
    module = tiny_variant(variant, seed=seed)
    batch, absent = tiny_batch(module, 8, seed), seed % module.n_perturbations
    batch.dosages[:, absent] = 0
    module.cells_per_perturbation[absent] = cells
    config = TrainingConfig.model_validate({"n_particles": 3, **WEIGHTED})

    def loss() -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return minibatch_objective(module, batch, config, 0, generator)["loss"]

    before = loss()
    own = parameters_of(module, absent)
    gradients = torch.autograd.grad(before, [parameter for parameter, _ in own])
    for gradient, (parameter, index) in zip(gradients, own, strict=True):
        assert not gradient[index].any()
        with torch.no_grad():
            parameter[index] += 1.7
    torch.testing.assert_close(loss(), before, rtol=1e-12, atol=0)


def parameters_of(
    module: PerturbationVAE, t: int
) -> list[tuple[torch.nn.Parameter, tuple[slice | int, ...]]]:
    """Every parameter that only perturbation t reads, and where in it."""
    L, G, everything = module.n_latent, module.n_genes, slice(None)
    names = {name for name, _ in module.named_parameters()}
    rows = ("mask_logits", "embedding_loc", "embedding_log_scale", "prior_shift")
    own: dict[str, tuple[slice | int, ...]] = dict.fromkeys(rows, (t,))
    own["embedding_encoder.layers.0.weight"] = (everything, L + t)
    if isinstance(module, ConditionalVAEModule):
        own["decoder.layers.0.weight"] = (everything, L + t)
        own["basal_encoder.layers.0.weight"] = (everything, G + t)
    found = [(module.get_parameter(name), at) for name, at in own.items() if name in names]
    assert found
    return found


@pytest.mark.parametrize("n_particles", [1, 4])
def test_the_conditional_state_broadcasts_over_particles(n_particles: int) -> None:
    module = tiny_variant("conditional_vae")
    batch = tiny_batch(module, 5)
    z_basal = torch.randn(n_particles, 5, module.n_latent, dtype=torch.float64)
    shift = module.shift(batch.dosages, module.sample_shift_parameters(n_particles))
    state = module.state(z_basal, shift, batch.dosages)
    assert state.shape == (n_particles, 5, module.n_latent + module.n_perturbations)
    for particle in range(n_particles):
        expected = torch.cat([z_basal[particle], batch.dosages], -1)
        assert torch.equal(state[particle], expected)
    shared = module.state(z_basal[:1], shift, batch.dosages)
    assert torch.equal(shared, state[:1].expand_as(state))
    assert not shift.any()


@pytest.mark.parametrize("variant", ["sams_vae correlated", "cpa_vae mean_field", "svae_plus"])
def test_shifts_add_up(variant: str) -> None:
    module = tiny_variant(variant)
    sample = module.sample_shift_parameters(3, torch.Generator().manual_seed(0))
    eye = torch.eye(module.n_perturbations, dtype=torch.float64)
    singles = module.shift(eye, sample)
    torch.testing.assert_close(singles, sample.mask * sample.embedding)
    both = module.shift((2 * eye[0] + eye[1])[None], sample)
    torch.testing.assert_close(both[:, 0], 2 * singles[:, 0] + singles[:, 1])
    assert not module.shift(torch.zeros_like(eye[:1]), sample).any()


def elbo(module: PerturbationVAE, batch: Minibatch, seed: int) -> ElboTerms:
    with torch.no_grad():
        return module.elbo_terms(batch, 2, generator=torch.Generator().manual_seed(seed))


def assert_same(ours: ElboTerms, expected: ElboTerms) -> None:
    for name in ("log_likelihood", "z_basal", "mask", "embedding"):
        got, wanted = getattr(ours, name), getattr(expected, name)
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10, msg=name)
