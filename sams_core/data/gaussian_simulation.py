"""The Gaussian simulation of SVAE+ and SAMS-VAE, with counts that a screen can be read from.

Both papers shift the latent state of a cell, ``z = z_basal + D (E * M)``, in few of 15 dimensions
by effects of size N(5, 0.5) and either sign, 100 treatments in all, and decode it by a random,
almost surely injective network: orthogonal weights and leaky rectifiers. They differ in what is
observed. SAMS-VAE observes ``mean + noise``, Gaussian, where the mean of every feature has variance
1 and the noise a fifth of the total; SVAE+ draws Poisson counts about a softmax of it (Lopez et
al., CLeaR 2023). Here are both, one from the other.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.special import softmax
from scipy.stats import ortho_group

from sams_core.data.simulated_effects import numbered, sparse_effects

HIDDEN = (50, 50, 50, 50)
NEGATIVE_SLOPE = 0.2


class GaussianSimulationConfig(BaseModel):
    """What to simulate; the defaults are the papers', but for control cells and depth."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_perturbations: int = Field(100, ge=1, description="Perturbations.")
    n_latent: int = Field(15, ge=1, le=HIDDEN[0], description="Latent dimensions of the truth.")
    n_genes: int = Field(100, ge=2, description="Genes, each with one Gaussian feature.")
    cells_per_perturbation: int = Field(700, ge=1, description="Cells of each perturbation.")
    n_control: int = Field(700, ge=1, description="Control cells.")
    mask_density: float = Field(
        2 / 15,
        gt=0,
        le=1,
        description="Share of latent dimensions that a perturbation shifts; each at least one.",
    )
    shift: float = Field(
        5.0, gt=0, description="Mean size of a shift; its standard deviation is a tenth of it."
    )
    noise: float = Field(
        0.2, ge=0, lt=1, description="Share of a Gaussian feature's variance that is noise."
    )
    depth: float = Field(2000.0, gt=0, description="Mean counts of a cell.")
    seed: int = Field(0, ge=0, description="Seed of everything random.")


def simulate_gaussian_screen(config: GaussianSimulationConfig) -> AnnData:
    """Simulate Gaussian observations and counts of a screen of singles.

    What is the papers': the truth and ``layers["gaussian"]``, SAMS-VAE's observations, here of
    control cells, too, of which the papers have none. A perturbation shifts at least one dimension
    (as in SVAE+, where it is one to three; in SAMS-VAE it may be none).

    What a screen reads is ``X``: ``Poisson(depth * softmax(gaussian))`` over the genes of a cell.
    So the noise of the Gaussian observations is that of the counts' log rates, as log-normal
    overdispersion, and ``noise=0`` leaves the Poisson counts of SVAE+. The softmax loses a cell's
    mean feature: counts know features up to a constant a cell.

    Returns
    -------
    anndata.AnnData
        Counts in ``X`` (CSR, float32), ``layers["gaussian"]`` (n, G) float32.
        ``obs["perturbation"]``: ``control``, ``P001``, ... ``obsm``: ``z_basal_truth`` and
        ``z_truth`` (n, L). ``uns["simulated"]`` is true; ``uns["truth"]``: ``mask`` (T, L) int8,
        ``embedding`` (T, L), ``perturbations`` (T,), ``noise_sd``, and ``decoder``, the weights of
        the layers ``"1"`` to ``"5"``, each (inputs, outputs), which give a feature's mean.
    """
    rng = np.random.default_rng(config.seed)
    names = numbered("P", config.n_perturbations)
    mask, embedding = sparse_effects(
        (config.n_perturbations, config.n_latent), config.mask_density, config.shift, rng
    )
    n_cells = [config.n_control] + [config.cells_per_perturbation] * config.n_perturbations
    condition = rng.permutation(np.repeat(np.arange(config.n_perturbations + 1), n_cells))
    shifts = np.vstack([np.zeros(config.n_latent), embedding * mask])
    z_basal = rng.standard_normal((condition.size, config.n_latent))
    z = z_basal + shifts[condition]
    weights, mean = _decode(z, config.n_genes, rng)
    noise_sd = np.sqrt(config.noise / (1 - config.noise))
    gaussian = mean + noise_sd * rng.standard_normal(mean.shape)
    counts = rng.poisson(config.depth * softmax(gaussian, axis=1))
    truth = {
        "mask": mask.astype(np.int8),
        "embedding": embedding.astype(np.float32),
        "perturbations": names.astype(object),
        "noise_sd": float(noise_sd),
        "decoder": {str(i): layer.astype(np.float32) for i, layer in enumerate(weights, 1)},
    }
    labels = np.concatenate([["control"], names])[condition]
    return AnnData(
        X=sparse.csr_matrix(counts.astype(np.float32)),
        obs=pd.DataFrame(
            {"perturbation": pd.Categorical(labels)},
            index=pd.Index(numbered("cell_", condition.size).astype(object)),
        ),
        var=pd.DataFrame(index=pd.Index(numbered("G", config.n_genes).astype(object))),
        obsm={"z_basal_truth": z_basal.astype(np.float32), "z_truth": z.astype(np.float32)},
        layers={"gaussian": gaussian.astype(np.float32)},
        uns={"simulated": True, "truth": truth},
    )


def _decode(
    z: np.ndarray, n_genes: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Random weights, and the means (n, G) that they give to z, each gene's of variance 1."""
    widths = (z.shape[1], *HIDDEN, n_genes)
    weights: list[np.ndarray] = []
    value = z
    for inputs, outputs in pairwise(widths):
        if weights:
            value = np.where(value < 0, NEGATIVE_SLOPE * value, value)
        orthogonal = ortho_group.rvs(max(inputs, outputs), random_state=rng)
        weights.append(orthogonal[:inputs, :outputs])
        value = value @ weights[-1]
    scale = value.std(axis=0)
    weights[-1] = weights[-1] / scale
    return weights, value / scale
