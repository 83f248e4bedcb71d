"""Seeds of one model are grouped, compared by what their runs left, and told apart from others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis.agreement import seed_agreement
from sams_core.analysis.masks import decoder_responses
from sams_core.analysis.seed_masks import write_mask
from sams_core.analysis.stability import (
    MASK,
    STABILITY,
    SeedRun,
    Stability,
    agreements,
    read_stability,
    same_but_seed,
    trained_again,
    write_stability,
)
from sams_core.analysis.stability_tables import (
    stability_frame,
    tell_entries,
    tell_stability,
    tell_trained_again,
)
from sams_core.api import FAMILIES, load_model
from sams_core.errors import CheckpointError
from sams_core.tensors import read_metadata
from tests.support.evaluations import RECIPE, evaluation
from tests.support.tiny import tiny_screen

SCREEN = tiny_screen()
N_SEEDS = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of three seeds, saved with masks of their own and never trained."""
    folder = tmp_path_factory.mktemp("seeds")
    for seed in range(N_SEEDS):
        model = FAMILIES["sams_vae"](SCREEN, seed=seed, n_latent=4, n_hidden=6)
        assert model.module.mask_logits is not None
        with torch.no_grad():
            model.module.mask_logits.normal_(generator=torch.Generator().manual_seed(seed))
        model.save(folder / f"seed{seed}")
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "runs")


def evaluations(runs: Path) -> list[dict[str, Any]]:
    return [
        evaluation(
            seed=seed,
            run=f"seed{seed}",
            folder=str(runs / f"seed{seed}"),
            weights=read_metadata(runs / f"seed{seed}" / "weights.safetensors")["payload"],
        )
        for seed in range(N_SEEDS)
    ]


def described(number: int, **changes: Any) -> dict[str, Any]:
    return evaluation(weights=str(number), run=str(number), **changes)


def test_only_runs_that_differ_by_their_seed_are_compared() -> None:
    alike = [described(0), described(1, seed=1, split=RECIPE | {"seed": 1})]
    others = [
        described(2, seed=2, inference="mean_field"),
        described(3, seed=3, model="SAMS-VAE (n_latent 5)"),
        described(4, seed=4, fingerprint="another screen"),
        described(5, seed=5, split=RECIPE | {"test": 0.5}),
        described(6, family="conditional_vae"),
        described(7, family="conditional_vae", seed=1),
        alike[0],
    ]
    assert same_but_seed([*alike, *others]) == [alike]


def test_the_files_hold_what_the_models_themselves_say(runs: Path) -> None:
    found = evaluations(runs)
    models = [load_model(each["folder"]) for each in found]
    expected = seed_agreement(
        [model.mask_probabilities() for model in models],
        [model.effects() for model in models],
        [decoder_responses(model) for model in models],
    )
    (compared,), problems = agreements(found, mend=write_mask)
    assert problems == []
    write_stability(*compared)
    np.testing.assert_allclose(compared[1].jaccard, expected.jaccard)
    for number, each in enumerate(found):
        stability = read_stability(each["folder"])
        assert stability is not None
        pd.testing.assert_frame_equal(
            stability.share, expected.stability(number), check_dtype=False, check_names=False
        )
        assert stability.seeds == (0, 1, 2)
        assert (stability.n_seeds == 3).all()
        assert stability.agreement == pytest.approx(expected.mean)
        assert (stability.share.to_numpy() > 0.99).any()
        assert ((stability.share > 0) & (stability.share < 1)).to_numpy().any()


def test_what_was_not_left_is_asked_for_or_written_again(runs: Path) -> None:
    found = evaluations(runs)
    none, (problem,) = agreements(found)
    assert none == []
    assert f"evaluate {runs / 'seed0'}" in problem
    for each in found:
        write_mask(each["folder"])
    written = {path: path.stat().st_mtime_ns for path in runs.glob(f"*/{MASK}")}
    (runs / "seed1" / MASK).write_bytes(b"damaged")
    _, (problem,) = agreements(found)
    assert "seed1" in problem
    assert "damaged" in problem
    shutil.copy(runs / "seed0" / MASK, runs / "copy.h5ad")
    without = ad.read_h5ad(runs / "copy.h5ad")
    del without.layers["effect"]
    without.write_h5ad(runs / "seed0" / MASK)
    _, (problem,) = agreements(found)
    assert "seed0" in problem
    assert "damaged" in problem
    shutil.copy(runs / "copy.h5ad", runs / "seed0" / MASK)
    written[runs / "seed0" / MASK] = (runs / "seed0" / MASK).stat().st_mtime_ns
    assert len(agreements(found, mend=write_mask)[0]) == 1
    assert [p.parent.name for p, when in written.items() if p.stat().st_mtime_ns != when] == [
        "seed1"
    ]


def test_perturbations_that_no_cell_trains_are_left_out(tmp_path: Path) -> None:
    split = np.full(SCREEN.n_cells, "train")
    split[np.asarray(SCREEN.dosages[:, [2]].toarray()).ravel() > 0] = "test"
    model = FAMILIES["sams_vae"](SCREEN, split=split, n_latent=3, n_hidden=6)
    model.save(tmp_path / "run")
    write_mask(tmp_path / "run")
    table = ad.read_h5ad(tmp_path / "run" / MASK)
    assert list(table.obs_names) == list(SCREEN.perturbation_names.delete(2))


def test_a_family_without_a_mask_leaves_none(tmp_path: Path) -> None:
    FAMILIES["cpa_vae"](SCREEN, n_latent=3, n_hidden=6).save(tmp_path / "run")
    write_mask(tmp_path / "run")
    assert not (tmp_path / "run" / MASK).exists()


def test_stability_of_another_checkpoint_or_damaged_is_refused(runs: Path) -> None:
    assert read_stability(runs / "seed0") is None
    (compared,), _ = agreements(evaluations(runs), mend=write_mask)
    write_stability(*compared)
    shutil.copy(runs / "seed1" / STABILITY, runs / "seed0" / STABILITY)
    with pytest.raises(CheckpointError, match="older than the checkpoint beside it"):
        read_stability(runs / "seed0")
    (runs / "seed1" / STABILITY).write_bytes(b"\x89HDF")
    with pytest.raises(CheckpointError, match="damaged"):
        read_stability(runs / "seed1")
    shutil.copy(runs / "seed2" / MASK, runs / "seed2" / STABILITY)
    with pytest.raises(CheckpointError, match="not a file of version"):
        read_stability(runs / "seed2")
    changed = ad.read_h5ad(runs / "seed2" / MASK)
    changed.uns |= {"format": "sams_core.stability", "format_version": 2}
    changed.write_h5ad(runs / "seed2" / STABILITY)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_stability(runs / "seed2")


def test_stability_that_does_not_count_seeds_by_perturbation_is_asked_for_again(runs: Path) -> None:
    (compared,), _ = agreements(evaluations(runs), mend=write_mask)
    write_stability(*compared)
    path = runs / "seed0" / STABILITY
    earlier = ad.read_h5ad(path)
    del earlier.obs["n_seeds"]
    earlier.uns["format_version"] = 1
    earlier.write_h5ad(path)
    with pytest.raises(CheckpointError, match="run python -m sams_core compare --stability"):
        read_stability(runs / "seed0")


def test_perturbations_that_not_all_seeds_have_count_those_that_do(runs: Path) -> None:
    found = evaluations(runs)
    for each in found:
        write_mask(each["folder"])
    names = list(ad.read_h5ad(runs / "seed0" / MASK).obs_names)
    for seed, lost in ((1, names[:2]), (2, names[1:2])):
        table = ad.read_h5ad(runs / f"seed{seed}" / MASK)
        table[~table.obs_names.isin(lost)].copy().write_h5ad(runs / f"seed{seed}" / MASK)
    (compared,), _ = agreements(found)
    write_stability(*compared)
    stability = read_stability(runs / "seed0")
    assert stability is not None
    expected = dict.fromkeys(names, 3) | {names[0]: 2, names[1]: 1}
    assert stability.n_seeds.to_dict() == expected
    opened = stability.share.mul(stability.n_seeds, axis=0)
    np.testing.assert_allclose(opened, opened.round(), atol=1e-6)


def test_seeds_that_were_trained_again_are_named(runs: Path, tmp_path: Path) -> None:
    (compared,), _ = agreements(evaluations(runs), mend=write_mask)
    write_stability(*compared)
    stability = read_stability(runs / "seed0")
    assert stability is not None
    assert trained_again(runs / "seed0", stability) == ()
    FAMILIES["sams_vae"](SCREEN, seed=7, n_latent=4, n_hidden=6).save(tmp_path / "new")
    shutil.copy(tmp_path / "new" / "weights.safetensors", runs / "seed1")
    (runs / "seed2" / "weights.safetensors").write_bytes(b"half written")
    assert trained_again(runs / "seed0", stability) == (1,)
    alone = shutil.copytree(runs / "seed0", tmp_path / "elsewhere" / "seed0")
    assert trained_again(alone, stability) == ()


@pytest.mark.parametrize("variant", ["sams_vae", "svae_plus"])
def test_decoder_responses_are_derivatives_where_the_decoder_is_linear(variant: str) -> None:
    model = FAMILIES[variant](SCREEN, n_latent=3, n_hidden=3)
    module = model.module
    layers = [
        layer for layer in module.decoder.layers.children() if isinstance(layer, torch.nn.Linear)
    ]
    with torch.no_grad():
        layers[0].bias.fill_(50.0)  # far from the kink
        for layer in layers[1:]:
            layer.weight.zero_()
            layer.bias.zero_()
    gene_weights = module.decoder_head.weight @ layers[0].weight
    expected = gene_weights.T.detach().numpy()
    expected = expected - expected.mean(1, keepdims=True)
    found = decoder_responses(model)
    assert list(found.columns) == list(SCREEN.gene_names)
    centred = found.to_numpy() - found.to_numpy().mean(1, keepdims=True)
    np.testing.assert_allclose(centred, expected, atol=1e-3)


def example(
    shares: list[list[float]], n_seeds: int = 4, n_b: int | None = None
) -> tuple[ad.AnnData, Stability]:
    masks = ad.AnnData(
        np.array([[0.9, 0.8], [0.5, 0.1], [0.9, 0.0]], np.float32),
        obs=pd.DataFrame(index=["A", "B", "C"]),
        var=pd.DataFrame(index=["z0", "z1"]),
    )
    share = pd.DataFrame(shares, index=["B", "A"], columns=["z0", "z1"])
    having = pd.Series([n_seeds if n_b is None else n_b, n_seeds], index=share.index)
    runs = tuple(SeedRun(f"seed{seed}", seed, str(seed)) for seed in range(n_seeds))
    return masks, Stability(share, having, runs, 0.6, 0.5)


def test_words_count_open_entries_that_all_seeds_open() -> None:
    masks, stability = example([[0.75, 1.0], [1.0, 0.25]])
    told = tell_stability(masks, stability)
    assert told.startswith("**1 of the 3** entries open at a threshold of 0.50 are open in all 4")
    assert "(33%)" in told
    assert "share 60% of the entries" in told
    words = tell_entries(masks, stability)
    assert list(words.loc["A"]) == ["open in 4 of 4 seeds", "open in 1 of 4 seeds"]
    assert words.loc["B", "z0"] == "open in 3 of 4 seeds"
    assert list(words.loc["C"]) == ["", ""], "no training cell has it"
    assert stability_frame(masks, stability).loc["C"].isna().all()


def test_words_count_the_seeds_that_have_the_perturbation() -> None:
    masks, stability = example([[0.5, 1.0], [1.0, 0.4]], 5, n_b=2)
    words = tell_entries(masks, stability)
    assert list(words.loc["A"]) == ["open in 5 of 5 seeds", "open in 2 of 5 seeds"]
    assert words.loc["B", "z0"] == "open in 1 of the 2 seeds that were trained on it"
    assert words.loc["B", "z1"] == "open in 2 of the 2 seeds that were trained on it"
    told = tell_stability(masks, stability)
    assert told.startswith("**1 of the 2** entries"), "those of A"
    assert "Not counted: 1 of perturbations that not all seeds were trained on" in told
    np.testing.assert_array_equal(stability_frame(masks, stability).loc["B"], [0.5, 1.0])


def test_a_perturbation_of_this_seed_alone_has_no_stability() -> None:
    masks, stability = example([[1.0, 0.0], [0.0, 0.0]], 3, n_b=1)
    masks.X = np.array([[0, 0], [0.9, 0], [0, 0]], np.float32)
    assert stability_frame(masks, stability).loc["B"].isna().all()
    assert tell_entries(masks, stability).loc["B", "z0"] == "no other seed was trained on it"
    told = tell_stability(masks, stability)
    assert told.startswith("No entry of perturbations that all seeds were trained on is open")
    assert "Not counted: 1 of" in told


def test_what_was_trained_again_is_told() -> None:
    assert tell_trained_again(()) == ""
    assert tell_trained_again((1,)).startswith("Seed 1 was trained again since")
    assert tell_trained_again((1, 3)).startswith("Seeds 1, 3 were trained again since")


def test_words_of_two_seeds_and_of_an_empty_mask() -> None:
    assert "open in both seeds (100%)." in tell_stability(*example([[1.0, 0], [1, 1.0]], 2))
    masks, stability = example([[0.0, 0], [0, 0]])
    masks.X = np.zeros_like(masks.X)
    assert "No entry is open" in tell_stability(masks, stability)
