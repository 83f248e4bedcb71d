"""The masks page says in how many seeds an entry is open."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pytest

from sams_core.analysis.stability import read_stability
from tests.pages.conftest import OpenPage
from tests.pages.test_masks import figure, words
from tests.support.example_run import write_example_run
from tests.support.seeds import write_seeds


@pytest.fixture
def seeds(tmp_path: Path, runs_at: Callable[[Path], None]) -> Path:
    """The app sees two seeds of a model, and a model without others."""
    write_seeds(tmp_path)
    write_example_run(tmp_path / "alone", title="Another screen", seed=5)
    runs_at(tmp_path)
    return tmp_path


def test_stability_over_seeds_can_be_coloured(seeds: Path, open_page: OpenPage) -> None:
    app = open_page("masks", {"run": "seed0", "mask_view": "Stability"})
    assert not app.exception
    assert not app.warning
    stored = read_stability(seeds / "seed0")
    assert stored is not None
    shown = figure(app)["data"][0]
    assert shown["colorbar"]["title"]["text"] == "Share of<br>seeds open"
    cells = figure(app)["data"][1]["customdata"]
    latent = cells[0][2]
    values = {cell[1]: cell[8] for cell in cells if cell[2] == latent}
    assert values == {
        name: f"open in {round(share * 2)} of 2 seeds"
        for name, share in stored.share[latent].items()
    }
    masks = ad.read_h5ad(seeds / "seed0" / "explorer" / "masks.h5ad")
    own = masks.X >= 0.5
    both = int((own & (stored.share.loc[masks.obs_names].to_numpy() == 1)).sum())
    assert 0 < both < own.sum()
    assert f"**{both} of the {own.sum()}** entries open" in words(app)
    (chart,) = app.get("plotly_chart")
    assert f"{both} of the {own.sum()} entries" in chart.proto.alt


def test_without_other_seeds_stability_is_not_offered(seeds: Path, open_page: OpenPage) -> None:
    app = open_page("masks", {"run": "alone"})
    control = app.segmented_control(key="mask_view")
    assert "Stability" not in control.options
    assert "compare --stability" in control.help
    told = open_page("masks", {"run": "alone", "mask_view": "Stability"})
    assert "Stability" in told.warning[0].value
    assert not told.exception


def test_another_seed_that_was_trained_again_is_told(
    seeds: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    told = "Seed 1 was trained again since"
    app = open_page("masks", {"run": "seed0"})
    assert not any(told in caption.value for caption in app.caption)
    new = write_example_run(seeds / "new", title="A screen", seed=1, screen_seed=0, n_hidden=7)
    shutil.copy(new / "weights.safetensors", seeds / "seed1")
    app = open_page("masks", {"run": "seed0"})
    assert any(told in caption.value for caption in app.caption)
    assert "Stability" in app.segmented_control(key="mask_view").options
    shutil.rmtree(seeds / "seed1")
    app = open_page("masks", {"run": "seed0"})
    assert not app.exception
    assert not any(told in caption.value for caption in app.caption)
    assert "Stability" in app.segmented_control(key="mask_view").options


def test_stability_of_an_older_model_is_left_out_with_a_word(
    seeds: Path, open_page: OpenPage
) -> None:
    shutil.copy(seeds / "seed1" / "stability.h5ad", seeds / "seed0" / "stability.h5ad")
    app = open_page("masks", {"run": "seed0"})
    assert not app.exception
    assert "Stability" not in app.segmented_control(key="mask_view").options
    assert any("older than the checkpoint" in caption.value for caption in app.caption)
