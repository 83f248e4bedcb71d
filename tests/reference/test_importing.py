"""The authors' models as checkpoints of ours: by their stored numbers, and by the names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from sams_core.analysis.condition_effects import dosages_of
from sams_core.analysis.effects import model_ate
from sams_core.api import load_model
from sams_core.data import Screen, read_screen
from sams_core.data.encoding import own_combinations
from sams_core.errors import CheckpointError, ScreenError
from sams_core.reference import Imported, import_reference, read_reference
from tests.models.test_parity import assert_close
from tests.support.fixture_models import FIXTURES, load_fixture
from tests.support.reference_files import CLASSES, G, L, label, reference_file, write

INFERENCE = {
    "sams_corr": "correlated",
    "sams_mf_mfe": "mean_field",
    "sams_mf_deep": "correlated_z",
    "sams_bb_mf": "correlated_z",
    "cpa": "correlated_z",
}
SINGLES = ("A", "B", "C", "D")
PAIRS = ("A+B", "C+D")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def imported_from(path: Path, screen: Screen, out: Path) -> Imported:
    return import_reference(read_reference(path), screen, out)


def tiny(folder: Path, name: str, split_key: str | None = "split") -> Screen:
    file = "tiny_singles.h5ad" if name == "svae" else "tiny.h5ad"
    return read_screen(folder / file, split_key=split_key)


@pytest.fixture(params=FIXTURES, scope="module")
def stored(
    request: pytest.FixtureRequest, shared_fixtures: Path, run: Path
) -> tuple[str, Screen, Imported]:
    """One of the stored models, imported."""
    name = request.param
    screen = tiny(shared_fixtures, name)
    return name, screen, imported_from(shared_fixtures / f"{name}.ckpt", screen, run / name)


def test_weights_and_settings(
    stored: tuple[str, Screen, Imported], shared_fixtures: Path, run: Path
) -> None:
    name, screen, imported = stored
    assert imported.same_cells
    assert imported.n_steps == 40
    model = load_model(run / name, screen)
    held = load_fixture(shared_fixtures, name)
    assert type(model.module) is type(held.module)
    settings = {"mask_temperature", "initial_mask_probability"}
    assert model.config.model_dump(exclude=settings) == held.module.config.model_dump(
        exclude=settings
    ) | {k: v for k, v in model.config.model_dump().items() if k.startswith("embedding_n_")}
    assert getattr(model.config, "inference", None) == INFERENCE.get(name)
    counted = ("n_training_cells", "library_size_quantiles")
    for key, value in held.module.state_dict().items():
        if key not in counted:
            assert torch.equal(model.module.state_dict()[key], value), key
    assert float(model.module.n_training_cells) == np.sum(np.asarray(screen.split) == "train")


def test_stored_numbers_by_name(
    stored: tuple[str, Screen, Imported], shared_fixtures: Path
) -> None:
    """Dosages come from the labels of the screen's cells, not from the stored matrix."""
    name, screen, imported = stored
    fixture = load_fixture(shared_fixtures, name)
    cells = imported.model.encoded(screen)
    counts = screen.counts.toarray()
    rows = [int(np.flatnonzero((counts == x).all(1))[0]) for x in fixture.arrays["in/X"]]
    dosages = torch.from_numpy(cells.dosages[rows].toarray())
    assert torch.equal(dosages, fixture.batch.dosages)
    fixture = replace(fixture, module=imported.model.module)
    shift = fixture.module.shift(dosages, fixture.sample())
    state = fixture.module.state(fixture.z_basal(shift), shift, dosages)
    log_mu = fixture.module.log_expected_counts(state, fixture.batch.library_size)
    assert_close(log_mu.exp(), fixture.arrays["p/nb_mean"])


def test_treatment_effects_by_name(
    stored: tuple[str, Screen, Imported], shared_fixtures: Path
) -> None:
    name, screen, imported = stored
    arrays = load_fixture(shared_fixtures, name).arrays
    names = pd.Index(arrays["ate/names"])
    model = imported.model
    ours = model_ate(
        model.module,
        dosages_of(model.encoded(screen), names),
        library_size=1e4,
        n_particles=5000,
    )
    stored_error = np.sqrt(np.mean(arrays["ate/mc_se"] ** 2, axis=0))  # each from a few repeats
    error = np.hypot(stored_error, ours.standard_error)
    assert np.abs((ours.mean - arrays["ate/values"]) / error).max() < 5
    deviation = [
        np.square((ours.mean - np.roll(arrays["ate/values"], by, axis=0)) / error).mean()
        for by in range(len(names))
    ]
    assert deviation[0] < 1.3
    assert min(deviation[1:]) > deviation[0], "another order of the names fits better"


def test_without_the_split_it_says_so(shared_fixtures: Path, tmp_path: Path) -> None:
    screen = tiny(shared_fixtures, "cpa", split_key=None)
    imported = imported_from(shared_fixtures / "cpa.ckpt", screen, tmp_path / "run")
    assert not imported.same_cells
    stored = load_fixture(shared_fixtures, "cpa").arrays
    module = imported.model.module
    np.testing.assert_array_equal(module.cells_per_perturbation, stored["in/D_obs_counts"])
    np.testing.assert_array_equal(module.log_mean, stored["in/log_mean"])


def test_training_is_recorded_as_it_was(stored: tuple[str, Screen, Imported]) -> None:
    name, _, imported = stored
    record = imported.model.record
    assert record.training["max_steps"] == 40
    assert record.training["learning_rate"] == 0.02
    assert record.training["n_particles"] == 5
    assert record.training["objective"] == "sampled"
    assert record.title == f"{name} (imported)"
    assert record.versions["imported_from"] == f"{name}.ckpt ({imported.source})"


def test_training_again_starts_afresh(shared_fixtures: Path, tmp_path: Path) -> None:
    screen = tiny(shared_fixtures, "cpa")
    model = imported_from(shared_fixtures / "cpa.ckpt", screen, tmp_path / "run").model
    before = model.module.decoder_head.weight.detach().clone()
    model.train(max_steps=1, learning_rate=1e-12, progress=False)
    assert not torch.allclose(before, model.module.decoder_head.weight, atol=1e-2)


def labelled_screen(seed: int = 0, *, n_cells: int = 240) -> Screen:
    """Controls, four singles and two pairs, in unequal numbers."""
    rng = np.random.default_rng(seed)
    labels = ("ctrl", *SINGLES, *PAIRS)
    of = np.repeat(labels, rng.multinomial(n_cells - 35, np.ones(7) / 7) + 5)
    means = rng.gamma(1.0, 4.0, G)
    counts = rng.poisson(means * rng.gamma(4.0, 0.25, (n_cells, 1))) + 1
    obs = pd.DataFrame({"perturbation": of, "split": rng.choice(["train", "val", "test"], n_cells)})
    obs.index = pd.Index([f"c{i}" for i in range(n_cells)])
    adata = AnnData(counts.astype(np.float32), obs=obs)
    return Screen.from_anndata(adata, perturbation_key="perturbation", split_key="split")


def counted(screen: Screen, names: list[str]) -> dict[str, torch.Tensor]:
    """Cells that carry each perturbation in each part of the split, in the order of ``names``."""
    columns = screen.perturbation_names.get_indexer(pd.Index(names))
    carried = screen.dosages.toarray()[:, columns] != 0
    split = np.asarray(screen.split)
    return {
        part: torch.from_numpy(carried[split == part].sum(0)) for part in ("train", "val", "test")
    }


def their_file(
    family: str,
    screen: Screen,
    path: Path,
    *,
    own: bool,
    change: Callable[[dict[str, Any]], object] | None = None,
) -> Path:
    """A file of theirs of a model of ``screen``: its perturbations are in alphabetical order."""
    cells = own_combinations(screen) if own else screen
    names = sorted(cells.perturbation_names)
    train = screen.counts.toarray()[np.asarray(screen.split) == "train"]
    log_mean = torch.from_numpy(np.log1p(train).mean(0).astype(np.float32))
    content = reference_file(family, names, log_mean, counted(cells, names), own=own)
    if change is not None:
        change(content)
    return write(path, content)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("family", CLASSES)
def test_every_perturbation_keeps_its_numbers(family: str, own: bool, tmp_path: Path) -> None:
    """Theirs are sorted; ours of own combinations follow the singles."""
    screen = labelled_screen()
    path = their_file(family, screen, tmp_path / "a.ckpt", own=own)
    imported = imported_from(path, screen, tmp_path / "run")
    assert imported.same_cells
    model = imported.model
    names = list(model.perturbation_names)
    assert names == [*SINGLES, *PAIRS] if own else names == list(SINGLES)
    labels = torch.tensor([label(name) for name in names])
    state, T = model.module.state_dict(), len(names)
    in_rows = {"mask_logits": 1, "prior_shift": 2}
    in_columns = ["embedding_encoder.layers.0.weight"]
    if family == "conditional_vae":
        in_columns = ["decoder.layers.0.weight", "basal_encoder.layers.0.weight"]
    seen = 0
    for name, value in state.items():
        if name in in_rows:
            torch.testing.assert_close(value, in_rows[name] * labels[:, None].expand(T, L))
            seen += 1
        elif name in in_columns:
            torch.testing.assert_close(value[:, -T:], labels.expand(len(value), T))
            seen += 1
    assert seen == 2
    encoded = model.encoded(screen)
    carriers = (encoded.dosages.toarray() != 0)[model.split == "train"].sum(0)
    np.testing.assert_array_equal(state["cells_per_perturbation"], carriers)


def other_genes(screen: Screen) -> Screen:
    return replace(screen, counts=screen.counts[:, ::-1].tocsr())


def fewer_genes(screen: Screen) -> Screen:
    return replace(screen, counts=screen.counts[:, 1:].tocsr(), gene_names=screen.gene_names[1:])


def fewer_cells(screen: Screen) -> Screen:
    return screen.subset(np.flatnonzero(np.asarray(screen.conditions) != "B"))


def with_batches(screen: Screen) -> Screen:
    return replace(screen, batch=pd.Categorical(["a", "b"] * (screen.n_cells // 2)))


@pytest.mark.parametrize(
    ("other", "own", "words"),
    [
        (other_genes, False, "in another order"),
        (fewer_genes, False, "30 genes, but the screen has 29"),
        (fewer_cells, False, r"cells for what would be 'B', of which the screen has \d+"),
        (with_batches, False, "without batches"),
        (
            lambda screen: screen.subset(np.asarray(screen.conditions) != "A+B"),
            True,
            "6 perturbations, but the screen has 5 once each combination is one of its own",
        ),
    ],
)
def test_another_screen(
    other: Callable[[Screen], Screen], own: bool, words: str, tmp_path: Path
) -> None:
    screen = labelled_screen()
    path = their_file("sams_vae", screen, tmp_path / "a.ckpt", own=own)
    with pytest.raises(ScreenError, match=words):
        imported_from(path, other(screen), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    screen = labelled_screen()
    path = their_file("sams_vae", screen, tmp_path / "a.ckpt", own=False)
    imported_from(path, screen, tmp_path / "run")
    with pytest.raises(CheckpointError, match="exists already"):
        imported_from(path, screen, tmp_path / "run")


Content = dict[str, Any]


def config(content: Content) -> Content:
    found: Content = content["hyper_parameters"]["config"]
    return found


def set_state(name: str, value: torch.Tensor) -> Callable[[Content], object]:
    """Change both copies of a tensor."""
    keys = (f"{copy}.{name}" for copy in ("loss_module", "predictor"))
    return lambda content: content["state_dict"].update(dict.fromkeys(keys, value))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: config(c).update(model="GPTModel"), "'GPTModel'"),
        (lambda c: config(c).update(guide="DeltaGuide"), "'DeltaGuide'"),
        (lambda c: config(c).pop("model"), "'None'"),
        (lambda c: config(c).update(guide="SVAEPlusGuide"), "'SVAEPlusGuide'"),
        (lambda c: config(c).pop("model_kwargs"), "model_kwargs"),
        (lambda c: config(c)["model_kwargs"].pop("n_latent"), "'n_latent'"),
        (lambda c: config(c)["model_kwargs"].update(n_latent="many"), "'n_latent'"),
        (lambda c: config(c)["model_kwargs"].update(likelihood_key="normal"), "likelihood_key"),
        (lambda c: config(c)["model_kwargs"].update(surprise=1), "'surprise'"),
        (lambda c: config(c)["guide_kwargs"].update(surprise=1), "'surprise'"),
        (
            lambda c: config(c)["guide_kwargs"].update(
                basal_encoder_input_normalization="standardize"
            ),
            "input_normalization",
        ),
        (lambda c: config(c)["guide_kwargs"].update(basal_encoder_n_layers=2), "different size"),
        (lambda c: config(c)["model_kwargs"].update(n_phenos=10**15), "cannot be made|shape"),
        (lambda c: config(c)["model_kwargs"].update(n_treatments=-1), "cannot be made|shape"),
        (lambda c: config(c)["model_kwargs"].update(mask_prior_prob=2.0), "cannot be made|explain"),
        (lambda c: config(c)["model_kwargs"].update(mask_prior_prob=0.2), "p_mask_probs"),
        (lambda c: config(c)["guide_kwargs"].update(gs_temperature=0.5), "gs_temperature"),
        (lambda c: config(c)["guide_kwargs"].update(mean_field_encoder=True), "basal_encoder"),
        (lambda c: config(c)["guide_kwargs"].pop("embedding_encoder_n_hidden"), "embedding_"),
        (set_state("model.p_E_loc", torch.ones(4, L)), "p_E_loc"),
        (set_state("guide.treatment_one_hot", torch.eye(4).flip(0)), "treatment_one_hot"),
        (set_state("guide.treatment_one_hot", torch.ones(())), "treatment_one_hot"),
        (set_state("model.surprise", torch.ones(1)), "'model.surprise'"),
        (set_state("model.decoder.log_concentration", torch.ones(3)), r"shape \(3,\)"),
        (set_state("guide.param_dict.q_E_loc", torch.ones(4, L)), "embedding_loc"),
        (
            lambda c: c["state_dict"].update(D_obs_counts_train=torch.ones(3)),
            r"cells that train.*shape \(3,\)",
        ),
        (lambda c: config(c)["lightning_module_kwargs"].update(lr=-1.0), "learning_rate"),
    ],
)
def test_files_of_other_models(
    change: Callable[[Content], object], words: str, tmp_path: Path
) -> None:
    screen = labelled_screen()
    path = their_file("sams_vae", screen, tmp_path / "a.ckpt", own=False, change=change)
    with pytest.raises(ValueError, match=words) as caught:
        imported_from(path, screen, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "run").exists()
