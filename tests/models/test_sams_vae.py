"""SAMS-VAE's ELBO against plain, slow computations in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch import distributions as td
from torch.nn import functional as F  # noqa: N812

from sams_core.models import Inference, Minibatch, SAMSVAEModule, ShiftSample
from tests.support.tiny import ALL_INFERENCE, tiny_batch, tiny_module


def plain_mlp(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """A residual MLP, one input row at a time, straight from its weights."""
    h = F.leaky_relu(state[f"{name}.layers.0.weight"] @ x + state[f"{name}.layers.0.bias"], 0.01)
    layer = 1
    while f"{name}.layers.{layer}.weight" in state:
        weight, bias = state[f"{name}.layers.{layer}.weight"], state[f"{name}.layers.{layer}.bias"]
        h = F.leaky_relu(weight @ h + bias, 0.01) + h
        layer += 1
    return h


def plain_gaussian(state: dict[str, Tensor], name: str, h: Tensor) -> td.Normal:
    mean = state[f"{name}.mean.weight"] @ h + state[f"{name}.mean.bias"]
    log_variance = state[f"{name}.log_variance.weight"] @ h + state[f"{name}.log_variance.bias"]
    return td.Normal(mean, (log_variance.exp() + 1e-4).sqrt())


def plain_terms(
    module: SAMSVAEModule, batch: Minibatch, mask: Tensor, embedding: Tensor, z_basal: Tensor
) -> dict[str, Tensor]:
    """Every term of one particle by loops over cells and perturbations, with dense D."""
    state, config = module.state_dict(), module.config
    T, n = module.n_perturbations, len(batch)
    identity = torch.eye(T, dtype=torch.float64)
    mask_term, embedding_term = [], []
    for t in range(T):
        prior = td.Bernoulli(torch.full_like(mask[t], config.mask_prior))
        posterior = td.Bernoulli(logits=state["mask_logits"][t])
        mask_term.append((prior.log_prob(mask[t]) - posterior.log_prob(mask[t])).sum())
        if config.correlated_embedding:
            h = plain_mlp(state, "embedding_encoder", torch.cat([mask[t], identity[t]]))
            q = plain_gaussian(state, "embedding_head", h)
        else:
            scale = state["embedding_log_scale"][t].exp() + 1e-4
            q = td.Normal(state["embedding_loc"][t], scale)
        p = td.Normal(
            torch.zeros(config.n_latent, dtype=torch.float64), config.embedding_prior_scale
        )
        embedding_term.append((p.log_prob(embedding[t]) - q.log_prob(embedding[t])).sum())
    log_px, z_term = [], []
    for i in range(n):
        shift = sum(batch.dosages[i, t] * mask[t] * embedding[t] for t in range(T))
        assert isinstance(shift, Tensor)
        x = (torch.log(batch.counts[i] + 1) - state["log_mean"]) / state["log_scale"]
        inputs = torch.cat([x, shift]) if config.correlated_basal else x
        q = plain_gaussian(state, "basal_head", plain_mlp(state, "basal_encoder", inputs))
        p = td.Normal(torch.zeros_like(q.loc), 1.0)
        z_term.append((p.log_prob(z_basal[i]) - q.log_prob(z_basal[i])).sum())
        h = plain_mlp(state, "decoder", z_basal[i] + shift)
        logits = state["decoder_head.weight"] @ h + state["decoder_head.bias"]
        mean = batch.library_size[i] * torch.softmax(logits, -1) + config.mean_floor
        theta = state["log_concentration"].exp()
        nb = td.NegativeBinomial(theta, logits=(mean / theta).log())
        log_px.append(nb.log_prob(batch.counts[i]).sum())
    return {
        "log_likelihood": torch.stack(log_px),
        "z_basal": torch.stack(z_term),
        "mask": torch.stack(mask_term),
        "embedding": torch.stack(embedding_term),
    }


@pytest.mark.parametrize("inference", ALL_INFERENCE)
@pytest.mark.parametrize("n_layers", [1, 3])
def test_terms_equal_a_plain_computation(inference: Inference, n_layers: int) -> None:
    module = tiny_module(inference, n_layers=n_layers, embedding_n_layers=n_layers, mean_floor=1e-4)
    batch = tiny_batch(module)
    with torch.no_grad():
        sample = module.sample_shift_parameters(2, torch.Generator().manual_seed(5))
        shift = module.shift(batch.dosages, sample)
        loc, scale = module.encode(batch, shift)
        z_basal = loc + scale * torch.randn(
            shift.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6)
        )
        z_term = module.z_basal_term(z_basal, loc, scale)
        ratios = (z_term, *module.plated_terms(sample, exact=False))
        log_px = module.log_likelihood(z_basal + shift, batch)
    for particle in range(2):
        plain = plain_terms(
            module, batch, sample.mask[particle], sample.embedding[particle], z_basal[particle]
        )
        ours = dict(zip(("z_basal", "mask", "embedding"), ratios, strict=True))
        ours["log_likelihood"] = log_px
        for name, expected in plain.items():
            torch.testing.assert_close(ours[name][particle], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("inference", ALL_INFERENCE)
def test_closed_form_terms_are_the_mean_of_the_sampled_ones(inference: Inference) -> None:
    module = tiny_module(inference)
    batch = tiny_batch(module)
    draws = 40_000
    with torch.no_grad():
        exact = module.elbo_terms(batch, draws, generator=torch.Generator().manual_seed(0))
        sampled = module.elbo_terms(
            batch, draws, exact=False, generator=torch.Generator().manual_seed(1)
        )
    for name in ("log_likelihood", "z_basal", "mask", "embedding"):
        ours, theirs = getattr(exact, name), getattr(sampled, name)
        spread = ours.var(0) if len(ours) > 1 else torch.zeros_like(ours[0])
        error = ((theirs.var(0) + spread) / draws).sqrt()
        assert bool(((ours.mean(0) - theirs.mean(0)).abs() < 5 * error + 1e-9).all()), name


def test_mask_kl_is_exact_by_enumeration() -> None:
    module = tiny_module()
    probability = module.mask_probabilities().detach()
    expected = torch.zeros(module.n_perturbations, dtype=torch.float64)
    for values in itertools.product([0.0, 1.0], repeat=module.config.n_latent):
        mask = torch.tensor(values, dtype=torch.float64).expand_as(probability)
        q = td.Bernoulli(probability).log_prob(mask).sum(-1)
        p = td.Bernoulli(torch.full_like(mask, module.config.mask_prior)).log_prob(mask).sum(-1)
        expected += q.exp() * (p - q)
    terms = module.elbo_terms(tiny_batch(module), 1)
    torch.testing.assert_close(terms.mask[0].detach(), expected)


def test_plate_weights_make_minibatches_sum_to_the_whole() -> None:
    module = tiny_module()
    batch = tiny_batch(module, n=12)
    module.cells_per_perturbation.copy_((batch.dosages != 0).sum(0))
    total = module.plate_weights(batch.dosages).sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))
    module.cells_per_perturbation[0] = 0
    assert float(module.plate_weights(batch.dosages)[:, 0].abs().max()) == 0


@settings(max_examples=25, deadline=None)
@given(
    inference=st.sampled_from(ALL_INFERENCE),
    n=st.integers(1, 9),
    cut=st.integers(0, 9),
    seed=st.integers(0, 1000),
    n_batches=st.sampled_from([0, 3]),
)
def test_cells_are_evaluated_independently(
    inference: Inference, n: int, cut: int, seed: int, n_batches: int
) -> None:
    """Splitting a batch, and permuting its cells, changes no cell's terms."""
    module = tiny_module(inference, seed=seed, n_batches=n_batches)
    batch = tiny_batch(module, n, seed)
    sample = module.sample_shift_parameters(2, torch.Generator().manual_seed(seed))

    def evaluate(rows: Tensor) -> Tensor:
        part = Minibatch(
            batch.counts[rows],
            batch.dosages[rows],
            batch.library_size[rows],
            None if batch.batch_index is None else batch.batch_index[rows],
        )
        shift = module.shift(part.dosages, sample)
        loc, _ = module.encode(part, shift)
        return module.log_likelihood(loc + shift, part).detach()

    whole = evaluate(torch.arange(n))
    cut = min(cut, n)
    parts = [evaluate(torch.arange(a, b)) for a, b in ((0, cut), (cut, n)) if b > a]
    torch.testing.assert_close(torch.cat(parts, -1), whole)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(evaluate(order), whole[:, order])


def test_shift_adds_up() -> None:
    module = tiny_module()
    sample = module.sample_shift_parameters(3, torch.Generator().manual_seed(0))
    eye = torch.eye(module.n_perturbations, dtype=torch.float64)
    singles = module.shift(eye, sample)
    both = module.shift((2 * eye[0] + eye[1])[None], sample)
    torch.testing.assert_close(both[:, 0], 2 * singles[:, 0] + singles[:, 1])
    none = module.shift(torch.zeros_like(eye[:1]), sample)
    assert float(none.detach().abs().max()) == 0


def test_gradients_reach_every_parameter() -> None:
    for inference in ALL_INFERENCE:
        module = tiny_module(inference, n_batches=3)
        terms = module.elbo_terms(tiny_batch(module, 12), 4)
        (terms.log_likelihood.mean() + terms.z_basal.mean() + terms.mask.mean()).backward()
        for name, parameter in module.named_parameters():
            if name.startswith("embedding_head.log") or name == "log_concentration":
                continue
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().sum()) > 0, name


def test_shift_sample_effect_is_masked() -> None:
    mask = torch.tensor([[[1.0, 0.0]]])
    embedding = torch.tensor([[[2.0, 3.0]]])
    sample = ShiftSample(mask, embedding, embedding, torch.ones_like(embedding))
    torch.testing.assert_close(sample.effect, torch.tensor([[[2.0, 0.0]]]))
