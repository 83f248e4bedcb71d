"""`simulate`: a screen with a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from anndata import AnnData

from sams_core.cli.flags import Table, flag_of, flags
from sams_core.cli.terminal import reports_failures, say
from sams_core.data import (
    GaussianSimulationConfig,
    Screen,
    SimulationConfig,
    simulate_gaussian_screen,
    simulate_screen,
    summarise,
)
from sams_core.errors import ConfigError
from sams_core.settings import validated
from sams_core.storage import replacing

SIMULATION = Table("simulation", "What to simulate (defaults are of counts)", SimulationConfig)
NOISE = GaussianSimulationConfig.model_fields["noise"]


@reports_failures
@flags(SIMULATION)
def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .h5ad file to write.")],
    simulation: dict[str, Any],
    kind: Annotated[
        Literal["counts", "gaussian"],
        typer.Option("--kind", help="Which simulation."),
    ] = "counts",
    noise: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help=f"{NOISE.description} Of gaussian only. [default: {NOISE.default}]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a simulated screen whose true masks and effects are known, to try things on.

    **counts** is SAMS-VAE's own model: singles and pairs, gamma-Poisson counts, pathways and true
    interactions where asked for.

    **gaussian** is the simulation of the SVAE+ and SAMS-VAE papers: singles only, a random network
    from latent states to Gaussian features (the layer "gaussian"), from which the counts are drawn.
    By default 100 perturbations of 700 cells, 15 latent dimensions and 100 genes, as there.

    The truth lies in the file's uns["truth"] and obsm["z_truth"]; everything made from such a file
    is called simulated.
    """
    if out.suffix != ".h5ad":
        raise ConfigError(f"{out} should end in .h5ad.")
    if out.exists():
        raise ConfigError(f"{out} exists already: choose another name or remove it.")
    adata = _simulate(kind, simulation if noise is None else simulation | {"noise": noise})
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", control="control")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        adata.write_h5ad(temporary, compression="gzip")
    say(summarise(screen).to_text(max_conditions=6))
    say(f"\nWritten to {out}. Next:", style="bold")
    say(f"  python -m sams_core train {out} --perturbation-key perturbation --out runs/{out.stem}")


def _simulate(kind: str, settings: dict[str, Any]) -> AnnData:
    config = SimulationConfig if kind == "counts" else GaussianSimulationConfig
    foreign = [name for name in settings if name not in config.model_fields]
    if foreign:
        raise ConfigError(
            f"{flag_of(foreign[0])} is no setting of --kind {kind}: leave it off or choose the "
            "other kind."
        )
    if kind == "counts":
        return simulate_screen(validated(SimulationConfig, settings))
    return simulate_gaussian_screen(validated(GaussianSimulationConfig, settings))
