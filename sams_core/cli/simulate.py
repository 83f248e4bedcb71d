"""`simulate`: a screen with a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sams_core.cli.flags import Table, flags
from sams_core.cli.terminal import reports_failures, say
from sams_core.data import Screen, SimulationConfig, simulate_screen, summarise
from sams_core.errors import ConfigError
from sams_core.settings import validated
from sams_core.storage import replacing

SIMULATION = Table(
    "simulation",
    "What to simulate",
    SimulationConfig,
    {
        "n_perturbations": "Perturbations.",
        "n_latent": "Latent dimensions of the truth.",
        "n_genes": "Genes.",
        "cells_per_perturbation": "Cells of each perturbation and of each pair.",
        "n_control": "Control cells.",
        "mask_density": "Share of latent dimensions that a perturbation shifts.",
        "shift": "Mean size of a shift, in standard deviations of the unperturbed cells.",
        "n_pathways": "Pathways, whose perturbations shift the same latent dimensions; "
        "0 for perturbations independent of each other.",
        "n_doubles": "Pairs of perturbations measured together.",
        "depth": "Mean counts of a cell.",
        "seed": "Seed of everything random.",
    },
)


@reports_failures
@flags(SIMULATION)
def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .h5ad file to write.")],
    simulation: dict[str, Any],
) -> None:
    """Write a simulated screen whose true masks and effects are known, to try things on.

    The truth lies in the file's uns["truth"]; everything made from such a file is called simulated.
    """
    if out.suffix != ".h5ad":
        raise ConfigError(f"{out} should end in .h5ad.")
    if out.exists():
        raise ConfigError(f"{out} exists already: choose another name or remove it.")
    config = validated(SimulationConfig, simulation)
    adata = simulate_screen(config)
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", control="control")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        adata.write_h5ad(temporary, compression="gzip")
    say(summarise(screen).to_text(max_conditions=6))
    say(f"\nWritten to {out}. Next:", style="bold")
    say(f"  python -m sams_core train {out} --perturbation-key perturbation --out runs/{out.stem}")
