"""The training loop: what it learns, keeps, records and refuses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.data.minibatches import TrainingBatches, minibatch
from sams_core.errors import ConfigError, TrainingError
from sams_core.models.order import perturbation_rank
from sams_core.record import HISTORY_COLUMNS
from sams_core.training import TrainingConfig, data_statistics
from sams_core.training.schedule import mask_weights
from sams_core.training.state import step_generator
from sams_core.training.validation import validation_terms
from tests.support.tiny import ALL_INFERENCE, tiny_batch, tiny_module, tiny_screen

QUICK: dict[str, Any] = {"max_steps": 40, "validation_every": 10, "batch_size": 64}
PLAIN: dict[str, Any] = {
    "effects_fraction": 0.0,
    "mask_share": 0.0,
    "pruned_fraction": 0.0,
    "mask_penalty_fraction": 0.0,
    "mask_penalty_end": 0.0,
}
"""The ELBO from the first step to the last."""


@pytest.fixture(scope="module")
def screen() -> Screen:
    return tiny_screen()


@pytest.mark.parametrize("inference", ALL_INFERENCE)
@pytest.mark.parametrize("objective", ["exact", "sampled"])
def test_every_variant_learns(screen: Screen, inference: str, objective: str) -> None:
    model = SAMSVAE(screen, n_latent=4, n_hidden=16, inference=inference)
    model.train(progress=False, objective=objective, **QUICK)
    validation = model.history[model.history["split"] == "validation"]["elbo"]
    assert validation.iloc[-1] > validation.iloc[0]
    assert list(model.history.columns) == list(HISTORY_COLUMNS)
    assert model.mask_probabilities().shape == (screen.n_perturbations, 4)


def test_same_seed_same_weights_other_seed_others(screen: Screen) -> None:
    def weights(seed: int) -> torch.Tensor:
        model = SAMSVAE(screen, seed=seed, split=split, n_latent=3, n_hidden=8)
        return model.train(progress=False, **QUICK).module.decoder_head.weight.detach()

    split = np.array(["train", "val"])[(np.arange(screen.n_cells) % 5 == 0).astype(int)]
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_validation_uses_the_training_plates() -> None:
    module = tiny_module()
    config = TrainingConfig(n_particles=2)
    batch = tiny_batch(module, 8)
    one = validation_terms(module, [batch], config)
    module.double()
    terms = module.elbo_terms(batch, 2, generator=step_generator(104_729, 0, torch.device("cpu")))
    n_training = float(module.n_training_cells)
    assert one["kl_mask"] == pytest.approx(-float(terms.mask.detach().sum()) / n_training)
    expected = terms.log_likelihood.mean() + terms.z_basal.mean()
    expected = expected + (terms.mask.mean(0) + terms.embedding.mean(0)).sum() / n_training
    assert one["elbo"] == pytest.approx(float(expected.detach()))
    assert one["objective"] == pytest.approx(one["elbo"])
    config = TrainingConfig(n_particles=2, mask_penalty_end=10.0, pruned_fraction=0)
    weighted = validation_terms(module, [batch], config)
    weights = mask_weights(module, config, config.max_steps - 1, terms)
    extra = (terms.mask[0] * (weights - 1)).sum() / n_training
    assert weighted["objective"] == pytest.approx(one["elbo"] + float(extra.detach()))


def test_training_again_starts_again_and_leaves_the_folder(screen: Screen, tmp_path: Path) -> None:
    model = SAMSVAE(screen, n_latent=3, n_hidden=8).train(
        out=tmp_path / "run", progress=False, **QUICK
    )
    digest, weights = model.digest, model.module.decoder_head.weight.detach().clone()
    model.train(progress=False, **{**QUICK, "max_steps": 20})
    assert model.folder is None
    assert SAMSVAE.load(tmp_path / "run").digest == digest
    again = SAMSVAE.load(tmp_path / "run", screen).train(progress=False, **QUICK)
    assert torch.equal(again.module.decoder_head.weight, weights)


def test_mask_logits_stay_within_their_bound(screen: Screen) -> None:
    model = SAMSVAE(screen, n_latent=3, n_hidden=8)
    model.train(progress=False, max_mask_logit=0.5, mask_learning_rate=0.5, **QUICK, **PLAIN)
    logits = model.module.mask_logits
    assert logits is not None
    assert float(logits.detach().abs().max()) <= 0.5


def test_divergence_is_one_sentence(screen: Screen) -> None:
    model = SAMSVAE(screen, n_latent=3, n_hidden=8)
    with pytest.raises(TrainingError, match="lower learning_rate") as caught:
        model.train(progress=False, learning_rate=1e30, gradient_clip=0, **QUICK)
    assert "\n" not in str(caught.value)


def test_early_stopping(screen: Screen) -> None:
    model = SAMSVAE(screen, n_latent=3, n_hidden=8)
    settings = {**QUICK, **PLAIN, "max_steps": 400, "validation_every": 2}
    model.train(progress=False, early_stopping=1, learning_rate=0.05, **settings)
    assert model.history["step"].max() < 400


def test_best_weights_are_kept(screen: Screen) -> None:
    model = SAMSVAE(screen, n_latent=3, n_hidden=8)
    settings = {**QUICK, **PLAIN, "max_steps": 200}
    model.train(progress=False, learning_rate=0.05, decay_fraction=0.0, **settings)
    validation = model.history[model.history["split"] == "validation"].set_index("step")["elbo"]
    assert model.screen is not None
    cells = np.flatnonzero(model.split == "val")
    assert validation.iloc[-1] < validation.max(), (
        "the last weights were the best: nothing was chosen"
    )
    rank = perturbation_rank(model.screen.dosages).numpy()
    batch = minibatch(model.screen, cells, rank)
    now = validation_terms(model.module, [batch], model.training_config)
    assert now["elbo"] == pytest.approx(validation.max(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_stepps": 3}, "did you mean 'max_steps'"),
        ({"batch_size": 1}, "batch_size = 1 cannot be used"),
        ({"objective": "other"}, "objective = 'other' cannot be used"),
        ({"learning_rate": float("inf")}, "learning_rate = inf cannot be used"),
    ],
)
def test_bad_settings_are_named(screen: Screen, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SAMSVAE(screen).train(progress=False, **settings)
    with pytest.raises(ConfigError, match="n_latent = 0 cannot be used"):
        SAMSVAE(screen, n_latent=0)
    with pytest.raises(ConfigError, match="seed = -1 cannot be used"):
        SAMSVAE(screen, seed=-1)


def test_a_split_that_does_not_fit_is_told(screen: Screen) -> None:
    with pytest.raises(ConfigError, match="one name a cell"):
        SAMSVAE(screen, split=np.full(3, "train"))
    with pytest.raises(ConfigError, match="split holds 'valid'"):
        SAMSVAE(screen, split=np.resize(["train", "valid"], screen.n_cells))


def test_an_all_but_certain_mask_trains(screen: Screen) -> None:
    model = SAMSVAE(screen, n_latent=3, n_hidden=8, initial_mask_probability=1 - 1e-9)
    assert np.isfinite(model.train(progress=False, **QUICK).history["elbo"]).all()


def test_no_training_cells_is_told(screen: Screen) -> None:
    with pytest.raises(TrainingError, match="fewer than 2 training cells"):
        SAMSVAE(screen, split=np.full(screen.n_cells, "test"), n_latent=2)


def test_progress_without_a_terminal_is_lines(screen: Screen) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    SAMSVAE(screen, n_latent=3, n_hidden=8).train(progress=console, **QUICK)
    lines = stream.getvalue().strip().splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("step 40/40  ELBO")
    assert "open" in lines[-1]


def test_batches_start_anywhere_and_visit_every_cell(screen: Screen) -> None:
    cells = np.arange(100)
    stream = TrainingBatches(screen, cells, batch_size=25, seed=1)
    first = [batch.counts.clone() for batch, _ in zip(stream, range(8), strict=False)]
    later = iter(TrainingBatches(screen, cells, batch_size=25, seed=1, start_step=5))
    assert torch.equal(next(later).counts, first[5])
    epoch = torch.cat(first[:4]).sum(0)
    assert torch.equal(epoch, torch.from_numpy(screen.counts[:100].toarray()).float().sum(0))
    assert not torch.equal(first[0], first[4])


def test_a_share_without_cells_is_refused(screen: Screen) -> None:
    with pytest.raises(ConfigError, match="batch_size is 2 for 3 devices"):
        TrainingBatches(screen, np.arange(60), batch_size=2, seed=0, world_size=3)


def test_shares_of_a_batch_make_it_whole(screen: Screen) -> None:
    cells = np.arange(60)
    whole = next(iter(TrainingBatches(screen, cells, batch_size=20, seed=0)))
    shares = [
        next(iter(TrainingBatches(screen, cells, batch_size=20, seed=0, rank=r, world_size=2)))
        for r in range(2)
    ]
    assert [len(share) for share in shares] == [10, 10]
    total = sum(share.counts.sum(0) for share in shares)
    assert torch.equal(torch.as_tensor(total), whole.counts.sum(0))


@pytest.mark.parametrize("chunk_cells", [7, 10_000])
def test_statistics_are_those_of_the_training_cells(
    chunk_cells: int, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sams_core.training.statistics.CHUNK_CELLS", chunk_cells)
    split = np.where(np.arange(screen.n_cells) % 3 == 0, "test", "train")
    statistics = data_statistics(screen, split)
    counts = torch.from_numpy(screen.counts[split == "train"].toarray()).double()
    logged = counts.log1p()
    seen = counts.sum(0) > 0
    close: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(statistics.log_mean.double(), logged.mean(0), **close)
    torch.testing.assert_close(statistics.log_scale[seen].double(), logged.std(0)[seen], **close)
    assert bool((statistics.log_scale[~seen] == 1).all())
    carried = torch.from_numpy(screen.dosages[split == "train"].toarray() != 0).sum(0)
    assert torch.equal(statistics.cells_per_perturbation, carried.float())
