"""What a prediction of a combination rests on, and how such predictions did before."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sams_core.analysis import combination_doses, combination_held_out, combination_trust

NAMES = ["A", "B", "C", "D"]
CONDITIONS = ["A", "B", "C", "A@2", "A+B", "A@0.5+C", "B+C", "C+D"]
TRAIN = [50, 40, 30, 10, 20, 5, 0, 8]
GENES = 200


@pytest.fixture
def masks() -> ad.AnnData:
    shift = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]])
    return ad.AnnData(
        np.ones((4, 2), np.float32),
        obs=pd.DataFrame({"n_cells_train": [85, 60, 43, 8]}, index=NAMES),
        layers={"effect": shift},
    )


@pytest.fixture
def effects() -> ad.AnnData:
    rng = np.random.default_rng(0)
    n = len(CONDITIONS)
    doses = [combination_doses.condition_doses(name, NAMES) or {} for name in CONDITIONS]
    single = dict(zip(NAMES, rng.normal(size=(4, GENES)), strict=True))
    truth = np.array([sum(d * single[k] for k, d in row.items()) for row in doses])
    training = truth + rng.normal(size=truth.shape) * 0.5
    training[np.array(TRAIN) == 0] = np.nan
    table = ad.AnnData(
        truth + rng.normal(size=truth.shape) * 0.3,
        obs=pd.DataFrame(
            {
                "perturbations": ["+".join(row) for row in doses],
                "n_perturbations": [len(row) for row in doses],
                "n_cells_train": TRAIN,
                "seen_in_training": np.array(TRAIN) > 0,
                "ceiling": np.where(np.array(TRAIN) > 0, 0.8, np.nan),
            },
            index=CONDITIONS,
        ),
        layers={
            "data_ate_train": training,
            "data_ate_test": truth + rng.normal(size=truth.shape) * 0.4,
        },
    )
    measured = np.asarray(table.layers["data_ate_test"])
    table.obs["pearson"] = [np.corrcoef(table.X[i], measured[i])[0, 1] for i in range(n)]
    return table


def test_doses_are_read_from_names() -> None:
    read = combination_doses.condition_doses
    assert read("A+B@0.5", NAMES) == {"A": 1, "B": 0.5}
    assert read("control", NAMES) is None
    assert read("A@x", NAMES) is None
    assert read("A@2", ["A@2"]) == {"A@2": 1}


def test_training_cells_by_dose(effects: ad.AnnData) -> None:
    trained = combination_doses.trained_doses(effects, NAMES)
    assert trained == {"A": {0.5: 5, 1: 70, 2: 10}, "B": {1: 60}, "C": {1: 43}, "D": {1: 8}}
    assert combination_doses.has_doses(trained)
    assert not combination_doses.has_doses({"B": {1: 60}})
    assert combination_doses.usual_dose(trained["A"]) == 1
    assert combination_doses.usual_dose({0.1: 4, 3.0: 9}) == 3
    assert combination_doses.dose_warnings(trained, {"A": 1.5, "B": 1.0}) == []
    told = combination_doses.dose_warnings(trained, {"A": 4, "B": 0.5})
    assert "A at dose 4 is above every dose in training (0.5, 1 and 2)" in told[0]
    assert "B at dose 0.5 is below" in told[1]


def test_conditions_are_found_at_their_doses(effects: ad.AnnData) -> None:
    find = combination_doses.find_condition
    assert find(effects, ["C", "A"], {"A": 0.5}) == "A@0.5+C"
    assert find(effects, ["C", "A"]) is None
    assert find(effects, ["A"], {"A": 2}) == "A@2"


def test_training_cells_of_each_arm(effects: ad.AnnData, masks: ad.AnnData) -> None:
    arms = combination_trust.training_arms(effects, masks, {"A": 1, "D": 2})
    assert arms["n_cells_train"].tolist() == [85, 8]
    assert arms["n_alone"].tolist() == [60, 0]


def test_nearest_training_condition(effects: ad.AnnData, masks: ad.AnnData) -> None:
    nearest = combination_trust.nearest_training(effects, masks, {"B": 1, "C": 1})
    places = {  # by hand: doses times the rows of the effects
        "A": (3, 0), "B": (0, 2), "C": (1, 1), "A@2": (6, 0), "A+B": (3, 2), "A@0.5+C": (2.5, 1),
        "C+D": (1, 1),
    }  # fmt: skip
    wanted = {name: np.hypot(x - 1, y - 3) for name, (x, y) in places.items()}
    assert nearest["distance"].to_dict() == pytest.approx(wanted)
    assert nearest.index[0] == "B"
    between = {
        a: min(np.hypot(x[0] - y[0], x[1] - y[1]) for b, y in places.items() if a != b)
        for a, x in places.items()
    }
    typical = combination_trust.typical_distance(effects, masks)
    assert typical == pytest.approx(np.median(list(between.values())))
    told = combination_trust.tell_nearest(nearest, typical, with_shift=True)
    assert "Nearest in training: B, 1.4 away" in told
    masks.uns["has_shift"] = False
    other = combination_trust.nearest_training(effects, masks, {"B": 1, "C": 1})
    assert other["distance"]["A+B"] == 2
    assert other["distance"].iloc[0] == 1


def test_scores_are_taken_over_the_same_conditions(effects: ad.AnnData, masks: ad.AnnData) -> None:
    scores = combination_held_out.held_out_scores(effects, masks, 2)
    assert scores is not None
    assert scores.unseen
    assert scores.n == 1
    train, test = (np.asarray(effects.layers[f"data_ate_{part}"]) for part in ("train", "test"))
    row = CONDITIONS.index("B+C")
    additive = np.corrcoef(train[1] + train[2], test[row])[0, 1]
    assert scores.additive == pytest.approx(additive)
    assert scores.model == pytest.approx(effects.obs["pearson"].iloc[row])
    assert np.isnan(scores.ceiling)
    told = combination_held_out.tell_scores(scores, "mine")
    assert "1 pair that training never saw" in told
    assert "sams_core evaluate mine" in told
    evaluation = {
        "scores": [
            {"predictor": "technical_duplicate", "scope": "unseen_combinations",
             "metric": "pearson_change", "value": 0.7}
        ]
    }  # fmt: skip
    with_ceiling = combination_held_out.held_out_scores(effects, masks, 2, evaluation)
    assert with_ceiling is not None
    assert with_ceiling.ceiling == 0.7


def test_without_whole_held_out_pairs_seen_ones_are_told(
    effects: ad.AnnData, masks: ad.AnnData
) -> None:
    some = effects[[name for name in CONDITIONS if name != "B+C"]].copy()
    scores = combination_held_out.held_out_scores(some, masks, 2)
    assert scores is not None
    assert not scores.unseen
    assert (scores.n, scores.n_of_kind) == (2, 3)  # D was never trained on alone
    train, test = (np.asarray(some.layers[f"data_ate_{part}"]) for part in ("train", "test"))
    rows = [list(some.obs_names).index(name) for name in ("A+B", "A@0.5+C")]
    a = (train[0] + 2 * train[3]) / 5  # the line through the origin over doses 1 and 2
    sums = [a + train[1], 0.5 * a + train[2]]
    found = [np.corrcoef(x, test[row])[0, 1] for x, row in zip(sums, rows, strict=True)]
    assert scores.additive == pytest.approx(np.mean(found))
    assert scores.model == pytest.approx(some.obs["pearson"].iloc[rows].mean())
    assert scores.ceiling == pytest.approx(0.8)
    told = combination_held_out.tell_scores(scores, "mine")
    assert "For 1 more there is no sum" in told
    assert "--split-kind ood_combinations" in told
    triple = combination_held_out.held_out_scores(some, masks, 3)
    assert triple is not None
    assert "No combination of this size" in combination_held_out.tell_scores(triple, "mine")
    singles = effects[:4].copy()
    assert combination_held_out.held_out_scores(singles, masks, 2) is None
    assert "no combination" in combination_held_out.tell_scores(None, "mine")
