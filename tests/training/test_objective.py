"""The mean minibatch objective is the full one exactly: what the plate weights are for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.training import TrainingConfig
from sams_core.training.objective import minibatch_objective
from tests.support.slow_path import WEIGHTED, Point, slow_terms
from tests.support.tiny import VARIANTS, rows_of, tiny_batch, tiny_variant

N_CELLS, N_PARTICLES = 12, 2


class Shared:
    """Gives every minibatch the same draws of E and M, and every cell its own noise.

    The rows of ``cells`` are the cells of the minibatch that is being evaluated.
    """

    def __init__(self, module: PerturbationVAE, patch: pytest.MonkeyPatch, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.sample = module.sample_shift_parameters(N_PARTICLES, generator)
        shape = (N_PARTICLES, N_CELLS, module.n_latent)
        self.noise = torch.randn(shape, dtype=torch.float64, generator=generator)
        self.cells = torch.arange(N_CELLS)
        patch.setattr(module, "sample_shift_parameters", lambda *_: self.sample)
        patch.setattr("sams_core.models.draws.noise", lambda *_: self.noise[:, self.cells])


def full_objective(
    module: PerturbationVAE, whole: Minibatch, shared: Shared, *, exact: bool
) -> tuple[Tensor, Tensor]:
    """The ELBO of all cells a cell, without plate weights, and its mask term's extra weight.

    Sum over cells of the cells' terms, plus sum over perturbations of theirs, divided by n.
    """
    shift = module.shift(whole.dosages, shared.sample)
    loc, scale = module.encode(whole, shift)
    drawn = (shared.sample.mask, shared.sample.embedding, loc + scale * shared.noise)
    points = [Point(*values) for values in zip(*drawn, strict=True)]
    terms = slow_terms(module, whole, points, exact=exact)
    cells = (terms.log_likelihood + terms.z_basal).sum(-1)
    trained = module.cells_per_perturbation > 0
    plated = (terms.mask + terms.embedding)[:, trained].sum(-1)
    weights = (0.4 * module.cells_per_perturbation).clamp_min(1)
    extra = (terms.mask * (weights - 1))[:, trained].sum(-1)
    return (cells + plated).mean() / N_CELLS, extra.mean() / N_CELLS


@pytest.mark.parametrize("objective", ["exact", "sampled"])
@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1, 2, 3, 4, 6, 12]),
    absent=st.booleans(),
    n_batches=st.sampled_from([0, 3]),
)
def test_equal_minibatches_average_to_the_whole(
    variant: str, objective: str, seed: int, size: int, absent: bool, n_batches: int
) -> None:
    """With draws in common, over any partition of the cells, for the ELBO and for the loss."""
    module = tiny_variant(variant, seed=seed, n_batches=n_batches)
    whole = tiny_batch(module, N_CELLS, seed)
    whole.dosages.mul_(torch.linspace(0.5, 2.0, module.n_perturbations))
    if absent:
        whole.dosages[:, 0] = 0
    module.cells_per_perturbation.copy_((whole.dosages != 0).sum(0))
    config = TrainingConfig.model_validate(
        {"objective": objective, "n_particles": N_PARTICLES, **WEIGHTED, "mask_share": 0.0}
    )
    order = torch.randperm(N_CELLS, generator=torch.Generator().manual_seed(seed))
    losses, elbos = [], []
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        shared = Shared(module, patch, seed)
        for shared.cells in order.reshape(-1, size):
            part = minibatch_objective(module, rows_of(whole, shared.cells), config, 0)
            losses.append(part["loss"])
            elbos.append(part["elbo"])
        elbo, extra = full_objective(module, whole, shared, exact=objective == "exact")
    for parts, expected in ((elbos, elbo), (losses, -(elbo + extra))):
        torch.testing.assert_close(torch.stack(parts).mean(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_elbo_is_the_sum_of_its_terms(variant: str) -> None:
    module = tiny_variant(variant)
    config = TrainingConfig(n_particles=3, effects_fraction=0, mask_share=0)
    parts = minibatch_objective(module, tiny_batch(module, 9), config, 0)
    terms = parts["log_likelihood"] - sum(
        parts[f"kl_{name}"] for name in ("z_basal", "mask", "embedding")
    )
    torch.testing.assert_close(parts["elbo"], terms)
    torch.testing.assert_close(-parts["loss"].detach(), terms)
