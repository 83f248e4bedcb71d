"""The phases of training: what is held, what is weighted, what is pruned, and what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sams_core.analysis.masks import true_mask
from sams_core.analysis.metrics import match_masks
from sams_core.api import SAMSVAE
from sams_core.data import Screen, SimulationConfig, simulate_screen
from sams_core.data.minibatches import minibatch
from sams_core.errors import ConfigError
from sams_core.models import ElboTerms, SAMSVAEModule, ShiftSample
from sams_core.models.rotation import sparsest_rotation
from sams_core.training import TrainingConfig
from sams_core.training import schedule as phases
from sams_core.training.schedule import Phase, begin_phase, bound_mask, mask_weights, phase
from sams_core.training.validation import validation_terms
from tests.support.slow_path import WEIGHTED, slow_mask_weights
from tests.support.tiny import tiny_batch, tiny_module, tiny_screen, tiny_variant

HUNDRED = TrainingConfig(max_steps=100)


def adam(module: SAMSVAEModule) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters())


def logits_of(module: SAMSVAEModule) -> torch.Tensor:
    assert module.mask_logits is not None
    return module.mask_logits.detach()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, Phase.EFFECTS), (29, Phase.EFFECTS), (30, Phase.MASKS), (84, Phase.MASKS),
        (85, Phase.PRUNED), (100, Phase.PRUNED),
    ],
)  # fmt: skip
def test_phases_follow_each_other(step: int, expected: Phase) -> None:
    assert phase(tiny_module(), HUNDRED, step) is expected
    for variant in ("svae_plus", "cpa_vae correlated_z", "conditional_vae"):
        assert phase(tiny_variant(variant), HUNDRED, step) is Phase.MASKS


def test_phases_leave_time_for_masks() -> None:
    model = SAMSVAE(tiny_screen(), n_latent=3)
    with pytest.raises(ConfigError, match="effects_fraction and pruned_fraction"):
        model.train(effects_fraction=0.6, pruned_fraction=0.4)


def test_the_weight_rises_from_the_basis_to_its_full_height() -> None:
    module = tiny_module(n_perturbations=3)
    module.cells_per_perturbation.copy_(torch.tensor([0.0, 4.0, 1000.0]))
    config = TrainingConfig(max_steps=100, mask_share=0, mask_penalty_end=0.1)
    steps = [0, 29, 30, 40, 50, 84, 85]
    last = [mask_weights(module, config, step)[-1].item() for step in steps]
    assert last == pytest.approx([0, 0, 1, 50, 100, 100, 1])
    assert mask_weights(module, config, 60).tolist() == pytest.approx([1, 1, 100])


@pytest.mark.parametrize("learned", [False, True])
def test_weights_equal_a_slow_computation(learned: bool) -> None:
    module = tiny_module(learned_mask_prior=learned, mask_prior=0.2)
    terms = module.elbo_terms(tiny_batch(module), 3)
    assert terms.sample is not None
    assert terms.basal_variance is not None
    config = TrainingConfig.model_validate(WEIGHTED)
    ours = mask_weights(module, config, 0, terms)
    expected = slow_mask_weights(module, terms.sample, terms.basal_variance.tolist())
    torch.testing.assert_close(ours, expected)
    assert float(ours.max()) > 1


def test_what_a_shift_explains_is_what_leaving_it_out_costs() -> None:
    """A linear-Gaussian cell, ``x = z + noise``: the marginal likelihood with and without."""
    shift, noise_variance = 1.7, 0.6
    posterior_variance = noise_variance / (1 + noise_variance)
    torch.manual_seed(0)
    x = torch.distributions.Normal(shift, (1 + noise_variance) ** 0.5).sample((200_000,))
    marginal = torch.distributions.Normal(torch.tensor([shift, 0.0]), (1 + noise_variance) ** 0.5)
    with_it, without = marginal.log_prob(x[:, None]).mean(0)
    zero, one = torch.zeros(1, 1), torch.ones(1, 1, 1)
    sample = ShiftSample(one, shift * one, shift * one, 0 * one)
    terms = ElboTerms(zero, zero, zero, zero, sample, torch.tensor([posterior_variance]))
    explained = phases.explained(terms, torch.ones(1))
    assert float(explained) == pytest.approx(float(with_it - without), rel=0.02)


def test_a_prior_that_favours_open_entries_asks_for_no_share() -> None:
    module = tiny_module(mask_prior=0.7)
    terms = module.elbo_terms(tiny_batch(module), 2)
    config = TrainingConfig(
        effects_fraction=0, mask_share=0.5, mask_penalty_fraction=0, mask_penalty_end=0
    )
    assert mask_weights(module, config, 1, terms).tolist() == [1.0] * module.n_perturbations


def test_effects_are_learned_with_every_entry_open() -> None:
    module = tiny_module()
    begin_phase(module, HUNDRED, 0, adam(module))
    assert bool((module.sample_shift_parameters(50).mask == 1).all())
    assert module.mask_logits is not None
    with torch.no_grad():
        module.mask_logits.sub_(40)
    bound_mask(module, HUNDRED, 29)
    assert bool((module.sample_shift_parameters(50).mask == 1).all())


def test_the_basis_is_found_before_masks_are_learned() -> None:
    module = tiny_module()
    ones = torch.ones(1, module.n_perturbations, module.n_latent, dtype=torch.float64)
    with torch.no_grad():
        before, scale = (values[0].clone() for values in module.embedding_posterior(ones))
        begin_phase(module, HUNDRED, 30, adam(module))
        after = module.embedding_posterior(ones)[0][0]
    width = 5 * float(scale.median())
    torch.testing.assert_close(after, before @ sparsest_rotation(before, width))
    cost = [float((effects / width).square().log1p().sum()) for effects in (before, after)]
    assert cost[1] < cost[0]
    torch.testing.assert_close(
        logits_of(module).sigmoid(), torch.full_like(before, phases.OPEN_AT_FIRST)
    )


def test_perturbations_without_training_cells_have_no_say_and_no_open_entries() -> None:
    def turned(embedding: float) -> SAMSVAEModule:
        module = tiny_module(n_perturbations=6)
        module.cells_per_perturbation[4:] = 0
        with torch.no_grad():
            module.embedding_loc[4:] = embedding
            module.embedding_log_scale[4:] = embedding
            begin_phase(module, HUNDRED, 30, adam(module))
        return module

    first, second = turned(0.0), turned(3.0)
    assert torch.equal(first.decoder.first.weight, second.decoder.first.weight)
    probability = first.mask_probabilities()
    assert bool((probability[:4] > 0.8).all())
    torch.testing.assert_close(
        probability[4:], torch.full_like(probability[4:], first.config.mask_prior)
    )


def test_without_an_effects_phase_nothing_is_turned_or_opened() -> None:
    module = tiny_module()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    begin_phase(module, HUNDRED.model_copy(update={"effects_fraction": 0.0}), 0, adam(module))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_pruned_entries_stay_closed_and_others_may_still_close() -> None:
    module = tiny_module()
    assert module.mask_logits is not None
    with torch.no_grad():
        module.mask_logits.copy_(torch.linspace(-5, 5, 12).reshape(4, 3))
    closed = logits_of(module) < 0
    begin_phase(module, HUNDRED, 85, adam(module))
    with torch.no_grad():
        module.mask_logits.add_(3)
        module.mask_logits[3, 2] = -2
    bound_mask(module, HUNDRED, 85)
    assert bool((logits_of(module)[closed] == -phases.PINNED).all())
    assert float(logits_of(module)[3, 2]) == -2
    assert bool((module.sample_shift_parameters(100).mask[:, closed] == 0).all())
    assert float(logits_of(module).max()) <= HUNDRED.max_mask_logit


QUICK: dict[str, Any] = {"max_steps": 60, "validation_every": 20, "batch_size": 64}


def test_the_objective_ends_as_the_plain_elbo() -> None:
    screen = tiny_screen()
    model = SAMSVAE(screen, n_latent=3, n_hidden=8, embedding_n_hidden=4)
    model.train(progress=False, mask_penalty_end=0.5, **QUICK)
    weight = model.history.set_index("step")["mask_penalty"].groupby(level=0).first()
    assert 1 < weight[20] < weight[40]
    assert weight[60] == 1
    batches = [minibatch(screen, np.flatnonzero(model.split == "val"))]
    config = model.training_config
    last = validation_terms(model.module, batches, config)
    assert last["objective"] == last["elbo"]
    unpruned = config.model_copy(update={"pruned_fraction": 0.0})
    weighted = validation_terms(model.module, batches, unpruned)
    assert weighted["objective"] < weighted["elbo"]


def test_untrained_perturbations_do_not_count_as_open() -> None:
    screen = tiny_screen()
    split = np.where(np.arange(screen.n_cells) % 4 == 0, "val", "train").astype(object)
    split[screen.dosages[:, [0]].toarray().ravel() > 0] = "test"
    model = SAMSVAE(screen, split=split, n_latent=3, n_hidden=8, embedding_n_hidden=4)
    model.train(progress=False, mask_penalty_end=0.0, mask_share=0.0, **QUICK)
    trained = model.module.cells_per_perturbation.numpy() > 0
    assert not trained.all()
    is_open = model.mask_probabilities().to_numpy() > 0.5
    assert model.history["share_open"].iloc[-1] == pytest.approx(is_open[trained].mean())
    assert is_open[trained].mean() != pytest.approx(is_open.mean())


def test_all_processes_turn_by_the_rotation_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_module()
    ones = torch.ones(1, module.n_perturbations, module.n_latent, dtype=torch.float64)
    before = module.embedding_posterior(ones)[0][0].detach()

    def first_process_sends(rotation: torch.Tensor, src: int) -> None:
        assert src == 0
        rotation.copy_(torch.eye(module.n_latent).flip(0))

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "broadcast", first_process_sends)
    begin_phase(module, HUNDRED, 30, adam(module))
    after = module.embedding_posterior(ones)[0][0].detach()
    torch.testing.assert_close(after, before.flip(1))


@pytest.mark.parametrize("variant", ["svae_plus", "cpa_vae correlated_z", "conditional_vae"])
def test_other_families_have_no_phases(variant: str) -> None:
    module = tiny_variant(variant)
    config = HUNDRED.model_copy(update={"mask_penalty_end": 0.0})
    for step in (0, 30, 85, 100):
        before = {name: value.clone() for name, value in module.state_dict().items()}
        optimiser = torch.optim.Adam(module.parameters())
        begin_phase(module, config, step, optimiser)
        terms = module.elbo_terms(tiny_batch(module), 2)
        assert set(mask_weights(module, config, step, terms).tolist()) == {1.0}
        assert all(torch.equal(v, before[name]) for name, v in module.state_dict().items())


def test_the_mask_of_a_clear_screen_is_found() -> None:
    """Simulated, 40 perturbations of 6 latents; by the ELBO alone nearly half stays open."""
    truth = SimulationConfig(
        n_perturbations=40, n_latent=6, n_genes=100, cells_per_perturbation=100, n_control=200,
        mask_density=0.2, depth=4000,
    )  # fmt: skip
    screen = Screen.from_anndata(
        simulate_screen(truth), perturbation_key="perturbation", control="control"
    )
    mask = true_mask(screen)
    assert mask is not None

    def found(**settings: Any) -> float:
        model = SAMSVAE(screen, n_latent=6, n_hidden=32, embedding_n_hidden=8)
        model.train(
            progress=False, max_steps=600, validation_every=300, batch_size=200,
            learning_rate=5e-3, embedding_learning_rate=3e-2, mask_learning_rate=5e-2, **settings,
        )  # fmt: skip
        return match_masks(mask, np.asarray(model.mask_probabilities() > 0.5)).f1

    assert found() > 0.95
    plain = {"effects_fraction": 0, "mask_share": 0, "pruned_fraction": 0, "mask_penalty_end": 0}
    assert found(**plain) < 0.7
