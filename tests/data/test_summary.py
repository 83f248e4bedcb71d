"""The summary counts what is there and reads well."""

from __future__ import annotations

from sams_core.data import Screen, SimulationConfig, simulate_screen, summarise
from tests.data.builders import labelled, tiny


def test_figures() -> None:
    adata = labelled(["ctrl"] * 4 + ["A"] * 3 + ["B"] * 2 + ["A+B"] * 5 + ["A+B+C"])
    adata.X[:, 7] = 0
    adata.obs["lane"] = ["x", "y", "x"] * 5
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", batch_key="lane")
    summary = summarise(screen)
    assert (summary.n_cells, summary.n_genes, summary.n_unseen_genes) == (15, 8, 1)
    assert (summary.n_perturbations, summary.n_controls) == (3, 4)
    assert (summary.n_singles, summary.n_doubles, summary.n_higher) == (2, 1, 1)
    assert summary.cells_per_condition.to_dict() == {"A+B": 5, "A": 3, "B": 2, "A+B+C": 1}
    assert summary.library_sizes[1.0] == screen.library_size.max()
    assert summary.batches is not None
    assert summary.batches.to_dict() == {"x": 10, "y": 5}
    assert summary.share_zero == 1 - screen.counts.nnz / 120
    text = summary.to_text()
    for said in ("15", "1 of them never seen", "4 cells labelled 'ctrl'", "x 10, y 5", "three or"):
        assert said in text
    assert all(warning in text for warning in screen.warnings)
    assert all(note in text for note in screen.notes)


def test_long_lists_show_both_ends() -> None:
    labels = ["ctrl"] + [f"P{i:02d}" for i in range(60) for _ in range(i + 1)]
    text = summarise(
        Screen.from_anndata(labelled(labels), perturbation_key="perturbation")
    ).to_text(10)
    assert "P59" in text
    assert "P00" in text
    assert "P30 " not in text
    assert "... 50 more ..." in text


def test_simulated_screens_are_called_simulated() -> None:
    config = SimulationConfig(n_perturbations=2, n_latent=2, n_genes=10, cells_per_perturbation=5)
    screen = Screen.from_anndata(simulate_screen(config), perturbation_key="perturbation")
    assert "(simulated)" in summarise(screen).to_text().splitlines()[0]
    real = Screen.from_anndata(tiny(), perturbation_key="perturbation")
    assert "simulated" not in summarise(real).to_text()
