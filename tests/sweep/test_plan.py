"""The TOML file of a sweep: which runs it asks for, and which mistakes it is told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sams_core.data.splits import SplitConfig
from sams_core.errors import ConfigError
from sams_core.models import SAMSVAEConfig
from sams_core.sweep.config import read_sweep
from sams_core.sweep.plan import SweepPlan, make_plan
from sams_core.training.config import TrainingConfig
from tests.support.server import ROOT
from tests.support.sweeps import CPA, MODEL, SIMULATION, TINY, write

SCREEN = 'screen = "x.h5ad"\n'
SHIPPED = sorted(ROOT.glob("benchmarks/sweeps/*.toml"))


def plan(folder: Path, text: str) -> SweepPlan:
    return make_plan(read_sweep(write(folder / "sweep.toml", text)))


def names(folder: Path, text: str) -> list[str]:
    return [run.name for run in plan(folder, text).runs]


def test_models_times_inference_times_splits_times_seeds(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        """
        screen = "x.h5ad"
        seeds = [1, 2]
        [[models]]
        family = "sams_vae"
        inference = ["correlated", "mean_field"]
        [[models]]
        family = "svae_plus"
        [[splits]]
        [[splits]]
        kind = "ood_combinations"
        fraction = [0, 0.25]
        """,
    )
    assert [run.name for run in found.runs] == [
        f"{model}--{split}--seed{seed}"
        for model in ("sams_vae-correlated", "sams_vae-mean_field", "svae_plus")
        for split in ("random", "ood-0", "ood-0.25")
        for seed in (1, 2)
    ]
    last = found.runs[-1]
    assert (last.family, last.combinations, last.seed) == ("svae_plus", "own", 2)
    assert last.split == SplitConfig(kind="ood_combinations", fraction=0.25).model_dump()
    assert last.training == TrainingConfig(seed=2).model_dump()
    assert found.screen == str(tmp_path / "x.h5ad")


def test_a_run_keeps_every_setting_also_those_left_at_their_default(tmp_path: Path) -> None:
    text = (
        SCREEN
        + '[training]\nmax_steps = 5\nbatch_size = 7\n[[models]]\nfamily = "sams_vae"\n'
        + "mask_prior = 0.1\n[models.training]\nbatch_size = 8\n"
    )
    (run,) = plan(tmp_path, text).runs
    assert run.model == SAMSVAEConfig(mask_prior=0.1).model_dump()
    assert run.training == TrainingConfig(max_steps=5, batch_size=8).model_dump()


def test_rows_share_their_split_unless_asked_otherwise(tmp_path: Path) -> None:
    text = SCREEN + MODEL

    def split_seeds(text: str) -> list[Any]:
        return [run.split and run.split["seed"] for run in plan(tmp_path, text).runs]

    assert split_seeds("seeds = [3, 4]\n" + text) == [0, 0]
    assert split_seeds("seeds = [3, 4]\nseed_splits = true\n" + text) == [3, 4]
    assert split_seeds("seeds = [3, 4]\n" + text + "[[splits]]\nseed = 7\n") == [7, 7]


def test_a_screens_own_split_is_kept(tmp_path: Path) -> None:
    text = SCREEN + '[reader]\nsplit_key = "fold"\n' + MODEL
    (run,) = plan(tmp_path, text).runs
    assert (run.name, run.split) == ("sams_vae-correlated--own-split--seed0", None)


def test_labels_name_runs(tmp_path: Path) -> None:
    text = SCREEN + MODEL.replace("n_latent", 'label = "prior .1 / b"\nn_latent')
    assert names(tmp_path, text + CPA) == [
        "prior-.1-b--random--seed0",
        "cpa_vae-correlated_z--random--seed0",
    ]
    both = text + 'inference = ["correlated_e", "mean_field"]\n'
    assert names(tmp_path, both) == [
        "prior-.1-b-correlated_e--random--seed0",
        "prior-.1-b-mean_field--random--seed0",
    ]


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    found = plan(tmp_path, TINY)
    assert SweepPlan.model_validate_json(found.model_dump_json()) == found
    assert found.simulation is not None
    assert found.simulation["kind"] == "counts"


def test_either_simulation_can_be_asked_for(tmp_path: Path) -> None:
    found = plan(tmp_path, '[simulation]\nkind = "gaussian"\nn_perturbations = 3\n' + MODEL)
    assert found.simulation is not None
    assert (found.simulation["kind"], found.simulation["n_perturbations"]) == ("gaussian", 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("screen = 1 2", "is not valid TOML"),
        (MODEL, "Name the cells in one way"),
        (SCREEN + SIMULATION + MODEL, "Name the cells in one way"),
        (SCREEN, "'models' is missing: give at least one table"),
        ("sceen = 'x'\n" + MODEL, "'sceen'; did you mean 'screen'"),
        ("seeds = []\n" + SCREEN + MODEL, "seeds = []"),
        ("seeds = [1, 1]\n" + SCREEN + MODEL, "a seed twice"),
        ("seeds = ['a']\n" + SCREEN + MODEL, "seeds.0 = 'a'"),
        ("seeds = [0, -1]\n" + SCREEN + MODEL, "seeds.1 = -1"),
        ("seeds = [4294967296]\n" + SCREEN + MODEL, "seeds.0 = 4294967296"),
        (SCREEN + MODEL + "inference = []\n", "number 1: The list inference is empty"),
        (SCREEN + MODEL + "[[splits]]\nkind = 'data_efficiency'\nfraction = []\n",
         "[[splits]] number 1: The list fraction is empty"),
        ("[simulation]\nkind = ['counts']\n" + MODEL, "[simulation]: kind is ['counts']"),
        ("path = 'x'\n" + MODEL, "no setting 'path'"),
        (SCREEN + MODEL + "n_latnet = 3\n",
         "[[models]] number 1: There is no setting 'n_latnet'; did you mean 'n_latent'"),
        (SCREEN + MODEL + "mask_prior = 2\n", "[[models]] number 1: mask_prior = 2"),
        (SCREEN + MODEL + '[[models]]\nfamily = "cpa"\n',
         "[[models]] number 2: There is no family 'cpa'; did you mean 'cpa_vae'"),
        (SCREEN + '[[models]]\nfamily = "svae_plus"\ninference = "mean_field"\n',
         "[[models]] number 1: There is no setting 'inference'"),
        (SCREEN + "[[models]]\nn_latent = 3\n", "number 1: The setting 'family' is missing: name"),
        (SCREEN + MODEL + 'inference = "exact"\n', "number 1: inference = 'exact'"),
        (SCREEN + MODEL + 'combinations = "product"\n', "number 1: combinations = 'product'"),
        (SCREEN + MODEL + MODEL, "number 2: Its runs would have the name 'sams_vae-correlated' of "
         "those of table [[models]] number 1: give it another with label"),
        (SCREEN + "[training]\nmax_step = 3\n" + MODEL, "[training]: There is no setting 'max_st"),
        (SCREEN + "[training]\nseed = 3\n" + MODEL, "[training]: Training takes its seed from"),
        (SCREEN + MODEL + "[models.training]\nbatch_size = 1\n", "number 1: batch_size = 1"),
        (SCREEN + MODEL + "[[splits]]\nkind = 'odd'\n", "[[splits]] number 1: kind = 'odd'"),
        (SCREEN + MODEL + "[[splits]]\nkind = 'data_efficiency'\nfraction = [0.5, 2]\n",
         "[[splits]] number 1: fraction = 2"),
        (SCREEN + MODEL + "[[splits]]\nfraction = [1.0, 0.5]\n",
         "[[splits]] number 1: fraction = 0.5 cannot be used: a split of kind 'random' does not "
         "read it, so leave it out"),
        (SCREEN + MODEL + "[[splits]]\n[[splits]]\nseed = 1\n",
         "[[splits]] number 2: Its runs would have the name 'random'"),
        ("seed_splits = true\n" + SCREEN + MODEL + "[[splits]]\nseed = 1\n", "leave 'seed' out"),
        (SCREEN + MODEL + "[[splits]]\n[reader]\nsplit_key = 'x'\n", "[reader]: split_key asks"),
        (SCREEN + MODEL + "[reader]\ncontrols = 'x'\n", "[reader]: There is no setting 'controls'"),
        (SIMULATION + "[reader]\ncontrol = 'x'\n" + MODEL, "[reader] goes with screen"),
        ("[simulation]\nn_genes = 1\n" + MODEL, "[simulation]: n_genes = 1"),
        ("[simulation]\nkind = 'other'\n" + MODEL, "[simulation]: kind is 'other'"),
        (SCREEN + "[evaluation]\nparticles = 3\n" + MODEL, "[evaluation]: There is no setting"),
        (SCREEN + "[evaluation]\npathways = 'no.gmt'\n" + MODEL, "no.gmt: mend the path"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_file_table_and_key(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, text)
    sentence = str(caught.value)
    assert words in sentence
    assert str(tmp_path / "sweep.toml") in sentence
    assert "\n" not in sentence.strip()


def test_gene_sets_are_read_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "sets.gmt").write_text("no tabs\n")
    with pytest.raises(ConfigError, match=r"sweep\.toml, \[evaluation\]: Line 1 of.*no tabs"):
        plan(tmp_path, SCREEN + '[evaluation]\npathways = "sets.gmt"\n' + MODEL)
    (tmp_path / "sets.gmt").write_text("set\tabout\tG1\n")
    found = plan(tmp_path, SCREEN + '[evaluation]\npathways = "sets.gmt"\n' + MODEL)
    assert found.evaluation["pathways"] == str(tmp_path / "sets.gmt")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml cannot be read: No such file"):
        read_sweep(tmp_path / "no.toml")


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("benchmarks/sweeps/*.toml")), ids=lambda p: p.stem
)
def test_shipped_sweeps_have_settings_that_exist(path: Path) -> None:
    config = read_sweep(path)
    found = make_plan(config)
    assert {run.seed for run in found.runs} == set(config.seeds)
