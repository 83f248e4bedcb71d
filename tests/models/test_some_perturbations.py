"""A minibatch that names the perturbations of its cells is worth the one that has all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.models.batch import Carried, Share
from sams_core.models.draws import cell_noise, gathered_shift
from sams_core.training import TrainingConfig
from sams_core.training.objective import minibatch_objective
from tests.support.tiny import VARIANTS, tiny_batch, tiny_module, tiny_variant

N_CELLS, N_PARTICLES = 5, 2


def carried_by(dosages: Tensor) -> Carried:
    """What each cell carries, padded."""
    most = max(int((dosages != 0).sum(1).max()), 1)
    dose, column = dosages.topk(most, dim=1)
    return Carried(column, dose)


def of_its_own(batch: Minibatch, order: Tensor) -> Minibatch:
    """The minibatch with the columns of the perturbations that its cells carry, in some order."""
    present = order[(batch.dosages[:, order] != 0).any(0)]
    dosages = batch.dosages[:, present]
    return replace(batch, dosages=dosages, perturbations=present, carried=carried_by(dosages))


class Tables:
    """Random numbers that belong to a perturbation or a cell, whoever asks for them."""

    def __init__(self, module: PerturbationVAE, seed: int, patch: pytest.MonkeyPatch) -> None:
        generator = torch.Generator().manual_seed(seed)
        shape = (N_PARTICLES, module.n_perturbations, module.n_latent)
        self.uniform = torch.rand(shape, dtype=torch.float64, generator=generator)
        self.normal = torch.randn(shape, dtype=torch.float64, generator=generator)
        cells = (N_PARTICLES, N_CELLS, module.n_latent)
        self.of_cells = torch.randn(cells, dtype=torch.float64, generator=generator)
        self.rows = torch.arange(module.n_perturbations)
        patch.setattr("torch.rand", lambda *_, **__: self.uniform[:, self.rows])
        for user in ("cpa_vae", "sams_vae"):
            patch.setattr(
                f"sams_core.models.{user}.noise",
                lambda *_: self.normal[:, self.rows],
                raising=False,
            )
        patch.setattr("sams_core.models.base.cell_noise", lambda *_: self.of_cells)


@pytest.mark.parametrize("objective", ["exact", "sampled"])
@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), step=st.sampled_from([0, 50, 99]))
def test_loss_and_gradients_are_the_same(
    variant: str, objective: str, seed: int, step: int
) -> None:
    module = tiny_variant(variant, seed=seed, n_perturbations=6)
    whole = tiny_batch(module, N_CELLS, seed)
    config = TrainingConfig.model_validate(
        {"n_particles": N_PARTICLES, "objective": objective, "max_steps": 100}
    )
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    own = of_its_own(whole, order)
    assert own.perturbations is not None
    assert len(own.perturbations) < 6
    found = []
    with pytest.MonkeyPatch.context() as patch:
        tables = Tables(module, seed, patch)
        for batch in (whole, own):
            if batch.perturbations is not None:
                tables.rows = batch.perturbations
            terms = minibatch_objective(module, batch, config, step)
            gradients = torch.autograd.grad(
                terms["loss"], list(module.parameters()), allow_unused=True
            )
            found.append((terms, gradients))
    (expected, plain), (ours, gathered) = found
    for name in set(expected) - {"mask_weight"}:  # a mean over those in the minibatch
        torch.testing.assert_close(ours[name], expected[name])
    for mine, wanted in zip(gathered, plain, strict=True):
        if wanted is not None:
            torch.testing.assert_close(mine, wanted, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_draws_for_all_in_order_are_the_draws_by_default(variant: str) -> None:
    module = tiny_variant(variant)
    every = torch.arange(module.n_perturbations)
    one, two = (
        module.sample_shift_parameters(3, torch.Generator().manual_seed(0), which)
        for which in (None, every)
    )
    torch.testing.assert_close(one.effect, two.effect)
    some = module.sample_shift_parameters(3, torch.Generator().manual_seed(0), every[:2])
    assert some.effect.shape == (3, 2, module.n_latent)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), most=st.integers(1, 3))
def test_gathered_shifts_are_the_matrix_product(seed: int, n: int, most: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    effect = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    column = torch.stack([torch.randperm(4, generator=generator)[:most] for _ in range(n)])
    dose = torch.rand(n, most, dtype=torch.float64, generator=generator)
    dosages = torch.zeros(n, 4, dtype=torch.float64).scatter(1, column, dose)
    ours = gathered_shift(Carried(column, dose), effect)
    torch.testing.assert_close(ours, dosages @ effect)
    weights = torch.randn(ours.shape, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(
        *(torch.autograd.grad((v * weights).sum(), effect)[0] for v in (ours, dosages @ effect))
    )


def test_processes_draw_together_what_one_would() -> None:
    module = tiny_module()
    batch = tiny_batch(module, 7)
    like = torch.zeros(2, 7, 3, dtype=torch.float64)
    alone = cell_noise(batch, like, torch.Generator().manual_seed(1))
    for rank in range(3):
        shared = replace(batch, share=Share(rank, 3, 7))
        mine = cell_noise(shared, like[:, rank::3], torch.Generator().manual_seed(1))
        torch.testing.assert_close(mine, alone[:, rank::3])
