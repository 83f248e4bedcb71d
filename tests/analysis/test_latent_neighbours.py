"""Nearest perturbations by their posterior shifts."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sams_core.analysis import latent_neighbours
from sams_core.analysis.latent_neighbours import Likeness, likeness, nearest_edges, tell_edges
from sams_core.analysis.perturbation_details import shift_cosines
from tests.analysis.conftest import PreparedRun


@pytest.fixture(scope="module")
def masks(prepared: PreparedRun) -> ad.AnnData:
    return ad.read_h5ad(prepared.folder / "explorer" / "masks.h5ad")


def test_cosines_are_those_of_every_perturbation_alone(prepared: PreparedRun) -> None:
    found = likeness(prepared.model, n_draws=64, seed=3)
    for row in range(len(prepared.model.perturbation_names)):
        alone = shift_cosines(prepared.model, row, n_draws=64, seed=3)
        np.testing.assert_allclose(found.cosine[row], alone.mean(0), atol=1e-5)
        np.testing.assert_allclose(found.share_positive[row], (alone > 0).mean(0), atol=0.02)


def test_blocks_of_draws_change_nothing_much(
    prepared: PreparedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = likeness(prepared.model, n_draws=400)
    monkeypatch.setattr(latent_neighbours, "_MAX_ELEMENTS", 900)
    parts = likeness(prepared.model, n_draws=400)
    np.testing.assert_allclose(parts.cosine, whole.cosine, atol=0.12)


def test_edges_by_hand(prepared: PreparedRun, masks: ad.AnnData) -> None:
    """Perturbations 0 and 1 are each other's nearest; 2 has 1 as its nearest, 3 is unsure."""
    n = len(prepared.model.perturbation_names)
    cosine, sure = np.eye(n, dtype=np.float32), np.zeros((n, n), np.float32)
    for a, b, value, share in ((0, 1, 0.9, 1.0), (1, 2, 0.8, 0.97), (0, 2, 0.2, 1.0),
                               (3, 0, 0.95, 0.9)):  # fmt: skip
        cosine[a, b] = cosine[b, a] = value
        sure[a, b] = sure[b, a] = share
    found = Likeness(cosine, sure)
    names = [str(name) for name in prepared.model.perturbation_names]
    edges = nearest_edges(found, prepared.model, masks, n_neighbours=1)
    assert edges[["first", "second"]].to_numpy().tolist() == [names[:2], names[1:3]]
    assert list(edges["mutual"]) == [True, False]
    np.testing.assert_allclose(edges["cosine"], [0.9, 0.8])
    both = nearest_edges(found, prepared.model, masks, n_neighbours=2)
    assert len(both) == 3
    some = nearest_edges(found, prepared.model, masks[[2, 0]], n_neighbours=1)
    assert some[["first", "second"]].to_numpy().tolist() == [[names[2], names[0]]]
    assert nearest_edges(found, prepared.model, masks, n_neighbours=0).empty
    told = tell_edges(both, n)
    assert told.startswith(f"3 of {n} perturbations have a neighbour")
    assert f"{names[0]} and {names[1]} (0.90)" in told


def test_no_edges_are_told() -> None:
    nothing = pd.DataFrame({"first": [], "second": [], "cosine": []})
    assert tell_edges(nothing, 5).startswith("No two perturbations")
