"""Builds the embedded checkpoints again: ``python -m sams_core.demo`` (or ``make demo``).

Two real screens and a simulated one are trained with the settings below, prepared and evaluated;
two more models of the real ones are there to compare with. Of the real screens no raw counts are
kept. They are read from a folder of h5ad files; see its README for where they come from.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from sams_core.analysis.evaluate import PREDICTIVE_CHECK, evaluate
from sams_core.analysis.evaluation_files import EVALUATION, read_runs
from sams_core.analysis.prepare import prepare
from sams_core.analysis.seed_masks import write_mask
from sams_core.analysis.stability import agreements, write_stability
from sams_core.api import FAMILIES
from sams_core.data import Screen, SimulationConfig, read_screen, simulate_screen
from sams_core.data.splits import SplitConfig
from sams_core.errors import SamsError
from sams_core.source import SOURCE

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = ROOT / "assets" / "checkpoints"
MAX_CELLS = 5000

SIMULATION = SimulationConfig(
    n_perturbations=300,
    n_latent=24,
    n_genes=300,
    cells_per_perturbation=60,
    n_control=1500,
    mask_density=0.1,
    shift=4.0,
    n_pathways=8,
    n_doubles=20,
    depth=5000,
    seed=0,
)


@dataclass(frozen=True)
class Demo:
    """One embedded checkpoint: its screen and how it is trained."""

    name: str
    title: str
    screen: Callable[[Path], Screen]
    citation: str | None = None
    family: str = "sams_vae"
    seed: int = 0
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


def _real(file: str) -> Callable[[Path], Screen]:
    def read(data: Path) -> Screen:
        return read_screen(data / file, perturbation_key="perturbation", control="control")

    return read


def _simulated(_data: Path) -> Screen:
    return Screen.from_anndata(
        simulate_screen(SIMULATION), perturbation_key="perturbation", control="control"
    )


PAPALEXI = _real("papalexi2021_thp1.h5ad")
PAPALEXI_TITLE = "Papalexi 2021: knockouts in THP-1 cells"
PAPALEXI_SOURCE = "Papalexi et al. 2021, Nature Genetics (GEO GSE153056)"
NORMAN = _real("norman2019_k562.h5ad")
NORMAN_TITLE = "Norman 2019: activation, alone and in pairs, in K562 cells (a subset)"
NORMAN_SOURCE = "Norman et al. 2019, Science (GEO GSE133344)"
NORMAN_TRAINING = {"max_steps": 1000, "validation_every": 50}

DEMOS = (
    Demo("papalexi2021_thp1", PAPALEXI_TITLE, PAPALEXI, PAPALEXI_SOURCE),
    Demo(
        "papalexi2021_thp1_seed1",
        f"{PAPALEXI_TITLE}, another seed",
        PAPALEXI,
        PAPALEXI_SOURCE,
        seed=1,
    ),
    Demo("norman2019_k562", NORMAN_TITLE, NORMAN, NORMAN_SOURCE, training=NORMAN_TRAINING),
    Demo(
        "norman2019_k562_cpa_vae",
        f"{NORMAN_TITLE}, CPA-VAE",
        NORMAN,
        NORMAN_SOURCE,
        family="cpa_vae",
        training=NORMAN_TRAINING,
    ),
    Demo(
        "simulated_pathways",
        "Simulated: 300 perturbations in 8 pathways",
        _simulated,
        model={"n_latent": 30},
    ),
)


def build(demo: Demo, data: Path, out: Path) -> Path:
    """Train, prepare and evaluate one checkpoint, in place of an older one; returns its folder.

    Parameters
    ----------
    demo
        What to build.
    data
        Folder of the real screens.
    out
        Folder in which the checkpoint's own folder is made.
    """
    screen = demo.screen(data)
    model = FAMILIES[demo.family](
        screen,
        split=SplitConfig(seed=0),
        seed=demo.seed,
        title=demo.title,
        citation=demo.citation,
        **demo.model,
    )
    target = out / demo.name
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch) / demo.name
        model.train(out=folder, **demo.training)
        prepare(folder, screen=screen, max_cells=MAX_CELLS, keep_counts=screen.simulated)
        evaluate(folder, screen=screen)
        (folder / PREDICTIVE_CHECK).unlink()
        (folder / SOURCE).unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    return target


def compare_seeds(out: Path) -> None:
    """Write in how many seeds each mask entry is open beside checkpoints that have other seeds.

    Parameters
    ----------
    out
        Folder with the checkpoints.
    """
    folders = [out / demo.name for demo in DEMOS if (out / demo.name / EVALUATION).is_file()]
    if folders:
        for group, agreement in agreements(read_runs(folders)[0], mend=write_mask)[0]:
            write_stability(group, agreement)


def main(
    data: Annotated[Path, typer.Option(help="Folder of the real screens.")] = ROOT.parent
    / "shared"
    / "data",
    out: Annotated[Path, typer.Option(help="Where the checkpoints go.")] = CHECKPOINTS,
    only: Annotated[list[str] | None, typer.Option(help="Name of one to build.")] = None,
) -> None:
    """Train and prepare the embedded checkpoints."""
    for demo in DEMOS:
        if only and demo.name not in only:
            continue
        typer.echo(f"{demo.title}")
        try:
            build(demo, data, out)
        except SamsError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
    compare_seeds(out)


if __name__ == "__main__":
    typer.run(main)
