"""The plain model that the library is held against computes the same, and so is a fair measure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.plain import PlainSAMSVAE, dense, loader
from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.effects import model_ate
from sams_core.analysis.iwelbo import iwelbo
from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.models import SAMSVAEModule
from sams_core.training.config import TrainingConfig
from sams_core.training.objective import minibatch_objective
from tests.support.tiny import tiny_batch, tiny_module, tiny_screen


@pytest.fixture(scope="module")
def screen() -> Screen:
    return tiny_screen(n_doubles=2)


@pytest.fixture(scope="module")
def model(screen: Screen) -> SAMSVAE:
    """Effects worth measuring, masks that are decided."""
    made = SAMSVAE(screen, n_latent=3, n_hidden=8, embedding_n_hidden=5)
    generator = torch.Generator().manual_seed(1)
    named = dict(made.module.named_parameters())
    with torch.no_grad():
        named["mask_logits"].copy_(8.0 * torch.randn(6, 3, generator=generator).sign())
        named["embedding_loc"].copy_(torch.randn(6, 3, generator=generator))
        named["decoder_head.weight"].mul_(2)
    made.module.eval()
    return made


def plain_of(model: SAMSVAE) -> PlainSAMSVAE:
    assert isinstance(model.module, SAMSVAEModule)
    return PlainSAMSVAE.like(model.module)


def test_elbo_and_gradients_are_the_librarys_at_the_same_draws() -> None:
    module = tiny_module(embedding_n_layers=2)
    plain, batch = PlainSAMSVAE.like(module), tiny_batch(module)
    torch.manual_seed(3)
    ours = minibatch_objective(module, batch, TrainingConfig(n_particles=4, **PLAIN_ELBO), 0)
    torch.manual_seed(3)
    theirs = plain.elbo(batch.counts, batch.dosages, batch.library_size, 4)
    assert theirs.item() == pytest.approx(ours["elbo"].item(), rel=1e-10)
    assert -ours["loss"].item() == pytest.approx(ours["elbo"].item(), rel=1e-10)
    ours["loss"].backward()
    (-theirs).backward()
    compared = dict(plain.named_parameters())
    assert set(compared) == {name for name, _ in module.named_parameters()}
    for name, parameter in module.named_parameters():
        gradient, expected = parameter.grad, compared[name].grad
        assert gradient is not None
        assert expected is not None
        torch.testing.assert_close(gradient, expected, rtol=1e-7, atol=1e-9, msg=name)


PLAIN_ELBO = {
    "effects_fraction": 0.0, "mask_share": 0.0, "mask_penalty_end": 0.0, "pruned_fraction": 0.0,
}  # fmt: skip


def test_bounds_agree_within_their_noise(screen: Screen) -> None:
    made = SAMSVAE(screen, n_latent=3, n_hidden=8, embedding_n_hidden=5)
    with torch.no_grad():  # counts say little of the state: weights that differ little
        dict(made.module.named_parameters())["decoder_head.weight"].mul_(0.1)
    cells, plain = np.arange(40), plain_of(made)
    torch.manual_seed(0)
    theirs = plain.iwelbo(*dense(screen, cells), n_particles=4000, cells_at_once=16).numpy()
    ours = iwelbo(made.module, screen, cells, n_particles=4000)
    np.testing.assert_allclose(theirs, ours, atol=0.1)
    assert abs(float((theirs - ours).mean())) < 0.02
    assert ours.std() > 1, "cells differ by more than the noise"


def test_effects_agree_within_their_errors(model: SAMSVAE) -> None:
    dosages = np.eye(6, dtype=np.float32)[:3]
    sizes = model.library_sizes
    torch.manual_seed(0)
    mean, error = plain_of(model).treatment_effects(
        torch.from_numpy(dosages), torch.as_tensor(sizes), 4000
    )
    ours = model_ate(model.module, dosages, library_size=sizes, n_particles=4000)
    error_of_both = np.hypot(error.numpy(), ours.standard_error)
    deviation = (mean.numpy() - ours.mean) / error_of_both
    assert np.abs(ours.mean).max() > 0.5, "effects are there to be compared"
    assert np.abs(deviation).max() < 5
    assert 0.5 < float(np.sqrt(np.square(deviation).mean())) < 1.5


def test_combinations_agree(model: SAMSVAE) -> None:
    names = list(model.perturbation_names[:2])
    dosages = torch.zeros(3, 6)
    dosages[0, 0] = dosages[1, 1] = dosages[2, 0] = dosages[2, 1] = 1
    torch.manual_seed(0)
    means, levels = plain_of(model).combination(
        dosages, torch.as_tensor(model.library_sizes), 1000, 64
    )
    ours = predict_combination(model, names).table
    for row, column in enumerate([*names, "predicted"]):
        theirs = means[row].numpy()
        assert np.corrcoef(theirs, ours[column])[0, 1] > 0.995
        assert np.abs(theirs - ours[column]).max() < 0.15
    assert (levels[0] <= levels[1]).all()


def test_minibatches_are_the_screens_cells(screen: Screen) -> None:
    batches = list(loader(screen, 50))
    assert len(batches) == screen.n_cells // 50
    for counts, dosages, library_size in batches:
        assert counts.shape == (50, screen.n_genes)
        assert dosages.shape == (50, screen.n_perturbations)
        torch.testing.assert_close(counts.sum(1), library_size)


def test_weights_come_by_name() -> None:
    module = tiny_module()
    plain = PlainSAMSVAE.like(module)
    assert plain.decoder_head.weight.dtype == torch.float64
    assert torch.equal(plain.decoder_head.weight, module.decoder_head.weight)
