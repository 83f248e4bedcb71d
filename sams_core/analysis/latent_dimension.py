"""What one latent dimension is: the genes that it moves and the perturbations that open it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sams_core.analysis.combination_tables import NEGLIGIBLE
from sams_core.analysis.decoded_expression import expression_curve
from sams_core.analysis.effect_tables import listed
from sams_core.analysis.mask_tables import annotation_columns, has_mask, open_entries
from sams_core.data.minibatches import sequential_batches
from sams_core.errors import ConfigError

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.data.screen import Screen
    from sams_core.perturbation_model import PerturbationModel

N_CELLS = 256
"""Cells that a response is averaged over."""
MIN_CONTROL_CELLS = 20
"""With fewer control cells at hand, their states are drawn from the prior."""
SHARE_OF_GENES = 0.1
"""Largest share of all genes that count as moved along a dimension in one direction."""
MAX_TOP_GENES = 50

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class BasalStates:
    """Latent states of unperturbed cells.

    Attributes
    ----------
    values
        (n, L) float32.
    source
        What they are, in words that follow "averaged over".
    """

    values: npt.NDArray[np.float32]
    source: str


def basal_states(
    model: PerturbationModel,
    *,
    screen: Screen | None = None,
    cells: AnnData | None = None,
    n_cells: int = N_CELLS,
    seed: int = 0,
) -> BasalStates:
    """States of control cells: from their counts, else from the table of cells, else the prior.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on: states are drawn from the posterior of its control cells.
    cells
        The checkpoint's table of cells, which has posterior means only; these spread less than
        the cells' states do.
    n_cells
        Of more control cells, so many are chosen at random; with fewer than `MIN_CONTROL_CELLS`
        states come from the prior.
    seed
        Of the choice and of the draws.
    """
    generator = np.random.default_rng(seed)
    if screen is not None:
        control = np.flatnonzero(np.diff(screen.dosages.indptr) == 0)
        if len(control) >= MIN_CONTROL_CELLS:
            chosen = np.sort(generator.permutation(control)[:n_cells])
            values = _posterior_draws(model, screen, chosen, seed)
            return BasalStates(values, f"{len(chosen):,} control cells, drawn from their posterior")
    if cells is not None:
        control = np.flatnonzero(cells.obs["condition"].astype(str) == model.control)
        if len(control) >= MIN_CONTROL_CELLS:
            chosen = np.sort(generator.permutation(control)[:n_cells])
            values = np.asarray(cells.obsm["z_basal"], np.float32)[chosen]
            return BasalStates(values, f"the posterior means of {len(chosen):,} control cells")
    values = generator.standard_normal((n_cells, model.module.n_latent), np.float32)
    return BasalStates(values, f"{n_cells:,} unperturbed cells drawn from the prior")


@torch.no_grad()
def latent_response(
    model: PerturbationModel,
    states: BasalStates,
    latent: str,
    *,
    step: float = 1.0,
    library_size: float | npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """How a step along one latent dimension changes each gene's expression.

    Expression is the expectation of ``log2(1e4 * x / sum(x) + 1)`` given the latent state, without
    count noise; the change is that of each cell moved by ``step`` against the same cell unmoved.

    Parameters
    ----------
    model
        A trained model.
    states
        The cells to move (:func:`basal_states`).
    latent
        Name of the dimension.
    step
        In basal standard deviations: 1, or the mean effect of the perturbations that open it.
    library_size
        Counts of a cell, or sizes to average over; by default those of the training cells.

    Returns
    -------
    DataFrame indexed by gene, in log2 units: ``change`` (mean over cells), ``sd``, ``lower`` and
    ``upper`` (5 % and 95 % of cells), ``same_sign`` (share of cells that change as their mean
    does) and ``unmoved`` (mean expression before the step).

    Raises
    ------
    ConfigError
        For an unknown dimension, or a step that is not a number.
    """
    if latent not in model.latent_names:
        raise ConfigError(
            f"The model has no latent dimension {latent!r}: name one of {model.latent_names[0]} to "
            f"{model.latent_names[-1]}."
        )
    if not np.isfinite(step):
        raise ConfigError(f"The step along {latent} is {step}: give a number.")
    module = model.module
    z = torch.from_numpy(np.asarray(states.values)).to(module.log_concentration)
    move = torch.zeros_like(z)
    move[:, model.latent_names.index(latent)] = step
    still = z.new_zeros(len(z), module.n_perturbations)
    zero = torch.zeros_like(z)
    before, after = (
        module.log_proportions(module.state(part, zero, still)) for part in (z, z + move)
    )
    sizes = model.library_sizes if library_size is None else library_size
    expression = expression_curve(module, before, sizes)
    unmoved = expression(before)
    change = (expression(after) - unmoved).cpu().numpy()  # (n, G)
    mean = change.mean(0, dtype=np.float64)
    lower, upper = np.quantile(change, [0.05, 0.95], axis=0)
    return pd.DataFrame(
        {
            "change": mean,
            "sd": change.std(0, dtype=np.float64),
            "lower": lower,
            "upper": upper,
            "same_sign": (np.sign(change) == np.sign(mean)).mean(0),
            "unmoved": unmoved.mean(0).double().cpu().numpy(),
        },
        index=pd.Index(model.gene_names, name="gene"),
    )


def top_genes(
    response: pd.DataFrame, direction: Direction, *, limit: int = MAX_TOP_GENES
) -> pd.DataFrame:
    """Genes that a step moves up or down, the largest change first.

    Only genes that change by `NEGLIGIBLE` or more and in the same direction in 95 % of cells;
    ``limit`` of them and `SHARE_OF_GENES` of all at most.

    Parameters
    ----------
    response
        From :func:`latent_response`.
    """
    alike = response["lower"] > 0 if direction == "up" else response["upper"] < 0
    moved = response[alike & (response["change"].abs() >= NEGLIGIBLE)]
    ordered = moved.sort_values("change", ascending=direction == "down", kind="stable")
    return ordered.head(min(limit, max(1, int(SHARE_OF_GENES * len(response)))))


def describe_response(response: pd.DataFrame, latent: str, step: float, source: str) -> str:
    """Say which genes a step moves most.

    Parameters
    ----------
    response
        From :func:`latent_response`.
    latent, step
        What it is the response to.
    source
        Of the states (:class:`BasalStates`).
    """
    start = f"A step of {step:+.1f} along {latent}, averaged over {source},"
    parts = []
    for direction, verb in (("up", "raises"), ("down", "lowers")):
        genes = top_genes(response, direction, limit=len(response))  # type: ignore[arg-type]
        if len(genes):
            most = [f"{name} ({value:+.2f})" for name, value in genes["change"].head(3).items()]
            parts.append(f"{verb} {listed(most)} most")
    if not parts:
        return f"{start} moves no gene by {NEGLIGIBLE} or more in 95 % of cells."
    return f"{start} {' and '.join(parts)} (log2 units)."


def openers(masks: AnnData, latent: str, threshold: float) -> pd.DataFrame:
    """Perturbations that open a latent dimension, the largest effect first.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    latent
        Name of the dimension.
    threshold
        Inclusion probability from which an entry counts as open; without a mask all perturbations
        are listed.

    Returns
    -------
    DataFrame indexed by perturbation: ``inclusion``, ``effect`` and ``effect_sd`` (posterior mean
    and standard deviation, basal s.d.), ``n_cells``, ``n_cells_train``, ``n_significant``, and the
    perturbations' annotations, among which is the pathway where it is known.
    """
    column = masks.var_names.get_loc(latent)
    table = pd.DataFrame(
        {
            "inclusion": np.asarray(masks.X)[:, column],
            "effect": np.asarray(masks.layers["effect"], float)[:, column],
            "effect_sd": np.asarray(masks.layers["effect_sd"], float)[:, column],
        },
        index=pd.Index(masks.obs_names.astype(str), name="perturbation"),
    )
    for name in ("n_cells", "n_cells_train", "n_significant", *annotation_columns(masks)):
        table[name] = masks.obs[name].to_numpy()
    if has_mask(masks):
        table = table[open_entries(masks, threshold)[:, column]]
    strongest = table["effect"].abs().sort_values(ascending=False, kind="stable")
    return table.loc[strongest.index]


def _posterior_draws(
    model: PerturbationModel, screen: Screen, rows: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.float32]:
    """One draw of z_basal of each control cell: (n, L)."""
    module = model.module
    device = module.log_concentration.device
    generator = torch.Generator(device=device).manual_seed(seed)
    parts = []
    with torch.no_grad():
        for part in sequential_batches(model.encoded(screen), rows):
            batch = part.to(device)
            shape = (1, len(batch.counts), module.n_latent)
            loc, scale = module.encode(batch, batch.counts.new_zeros(shape))
            noise = torch.randn(shape, device=device, dtype=loc.dtype, generator=generator)
            parts.append((loc + scale * noise)[0])
    return torch.cat(parts).cpu().numpy().astype(np.float32)
