from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.expected import expected_log_normalised
from sams_core.analysis.pair_goals import interaction_columns, posterior_sd
from sams_core.analysis.pair_maps import interaction_map
from sams_core.analysis.pair_search import MAX_PAIRS, PairSearch, search_pairs
from sams_core.analysis.shared_draws import BLOCKS, DRAWS, STATES, decode, shared_draws
from sams_core.errors import ConfigError
from sams_core.perturbation_model import PerturbationModel
from tests.support.loaded_models import small_model

GOALS = {"one gene": ["g3"], "a set": ["g0", "g5", "g7", "elsewhere"]}
LAST = "p3"
"""The perturbation whose mask is closed."""


@pytest.fixture(scope="module")
def model() -> PerturbationModel:
    return small_model(n_perturbations=4, n_genes=30)


@pytest.fixture(scope="module")
def profile(model: PerturbationModel) -> pd.Series:
    values = np.random.default_rng(0).normal(size=29)
    return pd.Series(values, index=model.gene_names[:29])


@pytest.fixture(scope="module")
def found(model: PerturbationModel, profile: pd.Series) -> PairSearch:
    return search_pairs(
        model, goals=GOALS, towards=profile, training=[["p0"], ["p1"], ["p2", "p0"], ["gone"]]
    )


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("sams_vae correlated", {"n_batches": 2}),
        ("cpa_vae mean_field", {}),
        ("conditional_vae", {}),
        ("svae_plus", {}),
    ],
)
def test_shared_draws_decode_what_the_model_decodes(variant: str, options: dict[str, Any]) -> None:
    module = small_model(variant, **options).module
    got = shared_draws(module, [2, 0], 150.0, seed=3)
    generator = torch.Generator().manual_seed(3)
    half = torch.randn((BLOCKS, 1, STATES, 1, module.n_latent), generator=generator)
    with torch.no_grad():
        effect = module.sample_shift_parameters(BLOCKS * DRAWS, generator).effect
        shift = (effect[:, 2] + effect[:, 0]).reshape(BLOCKS, 1, 1, DRAWS, -1)
        z = torch.cat([half, -half], 1).expand(-1, -1, -1, DRAWS, -1)
        state = module.state(z, shift.expand_as(z), torch.tensor([[1.0, 0.0, 1.0]]))
        expected = module.log_proportions(state)
        log_proportions = decode(module, got.basal, got.contribution.sum(0)[None])[0]
        torch.testing.assert_close(log_proportions, expected, atol=1e-4, rtol=1e-4)
        effects = got.effects(got.contribution.sum(0)[None])[0]
        averaged = (got.expression(expected) - got.control).mean(1)
    torch.testing.assert_close(effects, averaged, atol=1e-4, rtol=1e-4)


def test_agrees_with_the_prediction_of_each_pair(
    model: PerturbationModel, profile: pd.Series, found: PairSearch
) -> None:
    assert list(found.table.index) == ["p0+p1", "p0+p2", "p0+p3", "p1+p2", "p1+p3", "p2+p3"]
    assert found.complete
    for pair, row in found.table.drop(columns=["first", "second", "nearest"]).T.items():
        row = row.astype(float)
        exact = predict_combination(model, str(pair).split("+"), n_particles=4_000).table
        for name, genes in GOALS.items():
            inside = [gene for gene in genes if gene in exact.index]
            for column, suffix in [("predicted", ""), ("additive", "_additive")]:
                wanted = exact[column][inside].mean()
                error = np.hypot(row[f"{name}_se"], exact["predicted_se"][inside].mean())
                assert abs(row[name + suffix] - wanted) < 5 * error + 0.05
        size = np.sqrt(np.mean(np.square(exact["predicted"])))
        assert row["size"] == pytest.approx(size, rel=0.25, abs=0.05)
        interaction = np.sqrt(np.mean(np.square(exact["interaction"])))
        assert row["interaction"] == pytest.approx(interaction, rel=0.4, abs=0.05)
        known, target = exact["predicted"].to_numpy()[:29], profile.to_numpy()
        cosine = (known @ target) / np.linalg.norm(known) / np.linalg.norm(target)
        assert row["cosine"] == pytest.approx(cosine, abs=0.15)
        projection = (known @ target) / (target @ target)
        assert abs(row["projection"] - projection) < 5 * row["projection_se"] + 0.05


def test_averaged_over_seeds_it_is_unbiased(model: PerturbationModel) -> None:
    tables = [search_pairs(model, goals=GOALS, seed=seed).table for seed in range(60)]
    for pair in ["p0+p1", "p1+p2"]:
        rows = pd.DataFrame([table.loc[pair] for table in tables])
        exact = predict_combination(model, pair.split("+"), n_particles=8_000).table
        values = rows["one gene"].astype(float)
        error = np.hypot(values.std() / np.sqrt(60), exact["predicted_se"]["g3"])
        assert abs(values.mean() - exact["predicted"]["g3"]) < 4 * error + 0.01
        stated = np.sqrt(np.mean(np.square(rows["one gene_se"].astype(float))))
        assert 0.7 < values.std() / stated < 1.4
        spread = np.sqrt(np.mean(np.square(rows["one gene_sd"].astype(float))))
        assert spread == pytest.approx(exact["predicted_sd"]["g3"], rel=0.25)


def test_a_closed_partner_does_not_interact(found: PairSearch) -> None:
    with_last = found.table[found.table["second"] == LAST]
    assert (with_last["interaction"] < 1e-3).all()
    for name in GOALS:
        np.testing.assert_allclose(with_last[name], with_last[f"{name}_additive"], atol=1e-4)
    assert found.table["interaction"].max() > 0.1


def test_novelty_is_the_distance_to_the_nearest_training_condition(found: PairSearch) -> None:
    table = found.table
    assert list(table.index[table["in_training"]]) == ["p0+p2"]
    assert table["novelty"]["p0+p2"] == pytest.approx(0, abs=2e-3)
    assert table["nearest"]["p0+p2"] == "p2+p0"
    assert table["nearest"][f"p0+{LAST}"] == "p0"
    assert table["novelty"]["p1+p2"] > 0.05
    assert set(table["nearest"]) <= {"control", "p0", "p1", "p2+p0"}


def test_given_one_and_restricted(model: PerturbationModel, found: PairSearch) -> None:
    given = search_pairs(model, given="p2", goals=GOALS)
    assert list(given.table.index) == ["p2+p0", "p2+p1", "p2+p3"]
    few = search_pairs(model, perturbations=["p1", "p0"], goals=GOALS)
    assert list(few.table.index) == ["p1+p0"]
    assert few.table["a set"].iloc[0] == pytest.approx(found.table["a set"]["p0+p1"], abs=1e-3)


@pytest.mark.parametrize("name", ["p0", "nearest_gene", "pair", "predicted", "rank"])
def test_a_goal_may_be_called_like_anything_that_is_no_column(
    model: PerturbationModel, found: PairSearch, name: str
) -> None:
    table = search_pairs(model, goals={name: GOALS["one gene"]}).table
    np.testing.assert_allclose(table[name], found.table["one gene"], atol=1e-5)


def test_singles_and_the_deviation_from_their_sum(
    model: PerturbationModel, found: PairSearch, profile: pd.Series
) -> None:
    table = found.table
    for goal in [*GOALS, "projection"]:
        alone = pd.concat(
            [table.groupby(end)[f"{goal}_{end}"].agg(["min", "max"]) for end in ("first", "second")]
        )
        spread = alone.groupby(level=0).agg({"min": "min", "max": "max"})
        np.testing.assert_allclose(spread["min"], spread["max"])  # one value a perturbation
        total = table[f"{goal}_first"] + table[f"{goal}_second"]
        np.testing.assert_allclose(table[f"{goal}_additive"], total, atol=1e-6)
    exact = predict_combination(model, ["p0", "p1"], n_particles=4_000).table
    row = table.loc["p0+p1"]
    error = np.hypot(row["one gene_se"], exact["predicted_se"]["g3"])
    assert abs(row["one gene_first"] - exact["p0"]["g3"]) < 5 * error + 0.05
    deviation = (exact["interaction_upper"] - exact["interaction_lower"])["g3"] / (2 * 1.645)
    assert row["one gene_deviation_sd"] == pytest.approx(deviation, rel=0.6, abs=0.02)


def test_progress_and_cancelling() -> None:
    model = small_model(n_perturbations=8)
    shares: list[float] = []
    whole = search_pairs(model, progress=shares.append)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    told = [0.0]
    part = search_pairs(model, progress=told.append, cancelled=lambda: told[-1] > 0.3)
    assert not part.complete
    assert 0 < len(part.table) < part.n_pairs == 28
    assert list(part.table.index) == [
        name for name in whole.table.index if name in part.table.index
    ]
    pd.testing.assert_frame_equal(part.table, whole.table.loc[part.table.index])
    assert part.table["second"].nunique() > 3  # a sample of all, not the first perturbation's
    early = search_pairs(model, training=[["p0"]], progress=told.append, cancelled=lambda: True)
    assert early.table.empty
    none = search_pairs(model, cancelled=lambda: True)
    assert none.table.empty


def test_interaction_map_is_symmetric(found: PairSearch) -> None:
    matrix = interaction_map(found.table, "interaction")
    assert list(matrix.index) == list(matrix.columns) == ["p0", "p1", "p2", "p3"]
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(np.diag(matrix)).all()
    assert matrix["p1"]["p2"] == found.table["interaction"]["p1+p2"]


def test_posterior_sd_leaves_out_what_states_share() -> None:
    generator = np.random.default_rng(0)
    shape = (4000, BLOCKS, 2, DRAWS)
    draws = generator.normal(scale=0.5, size=(4000, BLOCKS, 1, DRAWS))
    states = generator.normal(scale=2.0, size=(4000, BLOCKS, 2, 1))
    noise = generator.normal(scale=0.3, size=shape)
    got = posterior_sd(torch.as_tensor(draws + states + noise))
    assert float(got.square().mean()) == pytest.approx(0.25 + 0.09 / 2, rel=0.03)


def test_size_of_an_interaction_takes_noise_off() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(500, BLOCKS, 1, DRAWS, 60))
    noise = np.broadcast_to(noise, (500, BLOCKS, STATES, DRAWS, 60))
    none = interaction_columns(torch.as_tensor(noise.copy()))
    plain = np.sqrt(np.mean(np.square(noise.mean((1, 2, 3)))))
    assert float(none["interaction"].square().mean()) < 0.6 * plain**2
    assert float((none["interaction_ratio"] > 2).double().mean()) < 0.01
    truth = generator.normal(size=60)
    some = interaction_columns(torch.as_tensor(noise + truth))
    wanted = float(np.sqrt(np.mean(np.square(truth))))
    assert float(some["interaction"].mean()) == pytest.approx(wanted, rel=0.03)
    along = float(some["interaction_sd"].square().mean()) * 60
    assert along == pytest.approx(1.0, rel=0.1)
    error = float(some["interaction_se"].square().mean()) * 60
    assert error == pytest.approx(1.0 / (BLOCKS * DRAWS), rel=0.2)
    both = torch.hypot(some["interaction_sd"], some["interaction_se"])
    torch.testing.assert_close(some["interaction_ratio"], some["interaction"] / both)


def test_expectation_is_close_to_the_exact_one(model: PerturbationModel) -> None:
    draws = shared_draws(model.module, [0, 1], 150.0)
    module = model.module
    with torch.no_grad():
        log_proportions = decode(module, draws.basal, draws.contribution.sum(0)[None])[0]
        library = torch.tensor(150.0).log()
        exact = expected_log_normalised(log_proportions + library, module.log_concentration)
    assert float((draws.expression(log_proportions) - exact).abs().mean()) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturbations": ["p0", "nobody"]}, "no perturbation 'nobody'"),
        ({"given": "nobody"}, "no perturbation 'nobody'"),
        ({"perturbations": ["p0"]}, "two or more"),
        ({"goals": {"empty": ["elsewhere"]}}, "goal 'empty'"),
        ({"goals": {"novelty": ["g0"]}}, "called 'novelty'"),
        ({"goals": {"interaction": ["g0"]}}, "column 'interaction'"),
        ({"goals": {"in": ["g0"], "in_sd": ["g1"]}}, "column 'in_sd'"),
        ({"goals": {"projection": ["g0"]}}, "called 'projection'"),
        ({"towards": pd.Series([0.0], ["g0"])}, "0 or unknown"),
    ],
)
def test_bad_requests_are_refused(
    model: PerturbationModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        search_pairs(model, **options)


def test_too_many_pairs_are_refused() -> None:
    model = small_model("cpa_vae mean_field", n_perturbations=int((2 * MAX_PAIRS) ** 0.5) + 2)
    with pytest.raises(ConfigError, match="choose fewer perturbations"):
        search_pairs(model)
