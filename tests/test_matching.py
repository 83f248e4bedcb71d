"""Cells that a model cannot read are refused, others are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sams_core.api import SAMSVAE
from sams_core.data import Screen
from sams_core.errors import CheckpointError, ConfigError
from sams_core.matching import require_training_screen
from tests.support.tiny import tiny_screen


def with_batches(screen: Screen, *names: str) -> Screen:
    return replace(screen, batch=pd.Categorical(np.resize(names, screen.n_cells)))


@pytest.fixture(scope="module")
def screen() -> Screen:
    return with_batches(tiny_screen(), "a", "b", "c")


@pytest.fixture(scope="module")
def model(screen: Screen) -> SAMSVAE:
    return SAMSVAE(screen, n_latent=3, n_hidden=6)


def test_a_subset_is_read_as_part_of_the_whole(model: SAMSVAE, screen: Screen) -> None:
    some = np.arange(5, 40, 3)
    whole, part = (model.get_latent_representation(s) for s in (screen, screen.subset(some)))
    np.testing.assert_allclose(part, whole[some], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda s: replace(s, gene_names=s.gene_names[::-1]), "genes are not the model's 30 genes"),
        (lambda s: with_batches(tiny_screen(n_perturbations=5), "a"), "perturbations are not"),
        (lambda s: replace(s, batch=None), "0 batches that are not the 3"),
        (lambda s: with_batches(s, "a", "b", "d"), "same batch_key"),
    ],
)
def test_other_cells_are_refused(
    other: Callable[[Screen], Screen], words: str, model: SAMSVAE, screen: Screen
) -> None:
    with pytest.raises(ConfigError, match=words):
        model.get_latent_representation(other(screen))


def test_the_training_screen_has_its_batches(model: SAMSVAE, screen: Screen) -> None:
    require_training_screen(model.record, screen)
    with pytest.raises(CheckpointError, match="same batch_key"):
        require_training_screen(model.record, replace(screen, batch=None))
    with pytest.raises(CheckpointError, match="is not the one"):
        require_training_screen(model.record, with_batches(tiny_screen(seed=1), "a", "b", "c"))
