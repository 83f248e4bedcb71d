"""Background cells of a prediction, and what they do to it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis.combination_background import (
    Background,
    background_cells,
    control_groups,
    control_rows,
)
from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.combination_summaries import block_moments, summarise
from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.expected import expected_log_normalised
from sams_core.errors import ConfigError
from tests.analysis.test_combinations import Trained
from tests.support.small_models import small_module, small_variant


def table(n: int = 60) -> ad.AnnData:
    rng = np.random.default_rng(0)
    return ad.AnnData(
        np.zeros((n, 0), np.float32),
        obs=pd.DataFrame(
            {
                "condition": np.where(np.arange(n) % 2, "A", "control"),
                "split": "train",
                "lane": np.arange(n) // 30,
                "batch": np.where(np.arange(n) < 30, "b1", "b2"),
                "rare": np.where(np.arange(n) < 4, "few", "many"),
                "score": rng.random(n),
            },
            index=[f"c{i}" for i in range(n)],
        ),
        obsm={"z_basal": (rng.normal(size=(n, 4)) * [1.5, 0.6, 0.1, 0.0]).astype(np.float32)},
    )


def brute_force(
    model: Trained, means: np.ndarray, doses: list[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean effect over given cells by exact expectations at many draws of E and M; its error."""
    module = model.module
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        sample = module.sample_shift_parameters(500, generator)
        shift = module.shift(torch.tensor([doses]), sample)  # (P, 1, L)
        basal = torch.as_tensor(means)[None]
        expressions = [
            expected_log_normalised(
                module.log_proportions(state) + float(np.log(size)), module.log_concentration
            ).mean(1)
            for state in (basal + shift, basal)
            for size in model.library_sizes
        ]
    n = len(model.library_sizes)
    effect = (torch.stack(expressions[:n]) - torch.stack(expressions[n:])).mean(0)  # (P, G)
    return effect.mean(0).numpy(), effect.std(0).numpy() / 500**0.5


def test_a_prediction_is_the_mean_over_the_background() -> None:
    model = Trained(small_module(), np.array([100.0, 300.0]))
    means = (np.random.default_rng(1).normal(size=(32, 4)) * 0.5 + [2, -1, 0, 1]).astype(np.float32)
    background = Background(means, np.zeros(4, np.float32), None, "cells")
    got = predict_combination(model, ["A", "B"], background=background, n_particles=4_000).table
    draws = combination_draws(model, ["A", "B"], background=background, n_draws=500)
    for row, column, doses in ((0, "A", [1.0, 0, 0]), (2, "predicted", [1.0, 1, 0])):
        wanted, error = brute_force(model, means, doses)
        assert (np.abs(got[column] - wanted) < 4.5 * error + 0.02).all()
        assert (np.abs(draws[row].mean(0) - wanted) < 6 * error + 0.02).all()
    typical = predict_combination(model, ["A", "B"], n_particles=512).table
    assert np.abs(typical["predicted"] - got["predicted"]).max() > 0.2


def test_few_cells_widen_the_intervals_by_their_standard_error() -> None:
    rng = np.random.default_rng(0)
    draws, pairs, blocks, genes = 32, 4, 400, 3
    by_draw = rng.normal(size=(blocks, 1, 1, draws, genes)) * 0.3
    by_state = rng.normal(size=(blocks, 1, 2 * pairs, 1, genes)) * 0.8
    noise = rng.normal(size=(blocks, 1, 2 * pairs, draws, genes)) * 0.2
    values = torch.as_tensor(by_draw + by_state + noise)
    values = (values[:, :, :pairs] + values[:, :, pairs:]) / 2
    moments = [block_moments(block.clone()) for block in values]
    alone = summarise(moments, (0.05, 0.95))
    np.testing.assert_allclose(alone.sd, 0.3, rtol=0.05)
    few = summarise(moments, (0.05, 0.95), 20)
    wanted = np.sqrt(0.3**2 + 0.8**2 / 20)
    np.testing.assert_allclose(few.sd, wanted, rtol=0.05)
    np.testing.assert_allclose(few.upper - few.mean, 1.645 * wanted, rtol=0.06)
    np.testing.assert_allclose(few.mean - few.lower, 1.645 * wanted, rtol=0.06)


def test_what_means_lack_of_the_cells_variance_is_put_back() -> None:
    cells = table()
    background = background_cells(cells, range(0, 60, 2))
    variance = cells.obsm["z_basal"].var(axis=0)
    np.testing.assert_allclose(background.spread**2, np.maximum(1 - variance, 0), atol=1e-6)
    assert background.spread[0] == 0
    assert background.spread[3] == 1
    states = background.draw((40, 15), torch.Generator().manual_seed(0), torch.zeros(1))
    assert states.shape == (40, 15, 1, 4)
    assert float(states[..., 3].std()) == pytest.approx(1, abs=0.1)
    first = states[..., 0].ravel()[:30].numpy()  # a column without spread: each cell once
    np.testing.assert_allclose(np.sort(first), np.sort(background.means[:, 0]), rtol=1e-6)


def test_cells_of_one_batch_are_decoded_as_of_it() -> None:
    cells, batches = table(), ["b1", "b2"]
    rows = control_rows(cells, "control", {"batch": "b2"})
    background = background_cells(cells, rows, batches=batches)
    assert background.batch == 1
    assert background_cells(cells, range(60), batches=batches).batch is None
    assert background_cells(cells, rows).batch is None
    module = small_variant("sams_vae correlated", n_batches=2)
    with torch.no_grad():
        module.decoder_batch.weight.copy_(torch.tensor([[-3.0], [3.0]]).expand(2, 8))
    tables = [
        predict_combination(
            Trained(module),
            ["A", "B"],
            background=Background(background.means, background.spread, batch, "cells"),
        ).table["predicted"]
        for batch in (0, 1, None)
    ]
    assert np.abs(tables[0] - tables[1]).max() > 0.05
    assert np.abs(tables[2] - tables[1]).max() > 0.01


def test_groups_of_control_cells() -> None:
    cells = table()
    assert control_groups(cells, "control") == [
        ("lane", "0"),
        ("lane", "1"),
        ("batch", "b1"),
        ("batch", "b2"),
        ("rare", "many"),
    ]
    assert control_rows(cells, "control", {"lane": "1"}) == list(range(30, 60, 2))
    with pytest.raises(ConfigError, match="has 3 cells: choose at least 10"):
        background_cells(cells, [1, 1, 2, 3])


@pytest.mark.parametrize("linear", [True, False])
def test_a_deviation_is_of_the_scale_and_of_the_network(linear: bool) -> None:
    module = small_module()
    if linear:
        weight, bias = torch.randn(4, 12) * 0.6, torch.randn(12)
        module.log_proportions = (  # type: ignore[method-assign]
            lambda state, batch_index=None: (state @ weight + bias).log_softmax(-1)
        )
    got = predict_combination(Trained(module), ["A", "B"]).table
    np.testing.assert_allclose(got["interaction"], got["network"] + got["scale"], atol=1e-5)
    assert got["scale"].abs().max() > 0.05
    assert (got["network"].abs().max() < 1e-4) == linear
