"""A simulated screen with known truth: the generative model itself, with counts.

``z = z_basal + D (E * M)`` with ``z_basal ~ N(0, I)``, to which chosen pairs add an interaction; a
cell's gene proportions are ``softmax(log b + z W)`` with log-normal base expression ``b`` and
sparse loadings ``W``, its counts gamma-Poisson about library size times proportions (SAMS-VAE,
section 3.1).
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from scipy import sparse
from scipy.special import softmax

from sams_core.data.simulated_effects import at_least_one, numbered, sizes, sparse_effects

CHUNK_CELLS = 4096
LOADING_SHARE = 0.25
LOADING_SD = 0.25
BASE_SD = 1.3
LIBRARY_SD = 0.35
KEPT_OF_PATHWAY = 0.85


class SimulationConfig(BaseModel):
    """What to simulate."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_perturbations: int = Field(60, ge=1, description="Perturbations.")
    n_latent: int = Field(20, ge=1, description="Latent dimensions of the truth.")
    n_genes: int = Field(500, ge=2, description="Genes.")
    cells_per_perturbation: int = Field(
        200, ge=1, description="Cells of each perturbation and of each pair."
    )
    n_control: int = Field(1000, ge=1, description="Control cells.")
    mask_density: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of latent dimensions that a perturbation, or a pathway, shifts; each at "
        "least one.",
    )
    shift: float = Field(
        5.0,
        gt=0,
        description="Mean size of a shift, in standard deviations of the unperturbed cells.",
    )
    n_pathways: int = Field(
        0,
        ge=0,
        description="Pathways, whose perturbations shift the same latent dimensions in the same "
        "directions; 0 for perturbations independent of each other.",
    )
    n_doubles: int = Field(
        0, ge=0, description="Pairs of perturbations measured together; their shifts add."
    )
    n_interactions: int = Field(
        0,
        ge=0,
        description="Pairs, among those measured, whose shifts do not just add: a sparse shift of "
        "their own comes on top.",
    )
    interaction_shift: float = Field(
        5.0, gt=0, description="Mean size of an interaction, in the unit of the shifts."
    )
    depth: float = Field(5000.0, gt=0, description="Mean counts of a cell.")
    seed: int = Field(0, ge=0, description="Seed of everything random.")

    @field_validator("n_doubles")
    @classmethod
    def _pairs_exist(cls, n_doubles: int, info: ValidationInfo) -> int:
        n_perturbations = info.data.get("n_perturbations", 0)
        if n_doubles > comb(n_perturbations, 2):
            raise PydanticCustomError(
                "too_many",
                "{n_perturbations} perturbations have only {pairs} pairs",
                {"n_perturbations": n_perturbations, "pairs": comb(n_perturbations, 2)},
            )
        return n_doubles

    @field_validator("n_interactions")
    @classmethod
    def _pairs_are_measured(cls, n_interactions: int, info: ValidationInfo) -> int:
        if n_interactions > info.data.get("n_doubles", 0):
            raise PydanticCustomError("too_many", "only pairs can interact, so n_doubles bounds it")
        return n_interactions


def simulate_screen(config: SimulationConfig) -> AnnData:
    """Simulate a screen.

    Interactions are drawn apart from all else: with and without them, a seed gives the same
    masks, embeddings, pairs and basal states.

    Returns
    -------
    anndata.AnnData
        Counts in ``X`` (CSR, float32). ``obs``: ``perturbation`` (``control``, ``P001``,
        ``P001+P002``) and, if there are pathways, ``pathway``. ``obsm``: ``z_basal_truth`` and
        ``z_truth`` (n, L). ``uns["simulated"]`` is true; ``uns["truth"]``: ``mask`` (T, L) int8,
        ``embedding`` (T, L), ``perturbations`` (T,), ``pathways`` (T,; empty text without
        pathways), ``interactions`` (K,), the conditions that interact, and ``interaction`` (K, L),
        what comes on top of the sum of their shifts, ``loadings`` (L, G), ``log_base`` (G,) and
        ``concentration`` (G,).
    """
    rng = np.random.default_rng(config.seed)
    names = numbered("P", config.n_perturbations)
    pathway = np.arange(config.n_perturbations) * config.n_pathways // config.n_perturbations
    mask, embedding = _effects(config, pathway, rng)
    members = _design(config, rng)
    shifts = np.stack([(embedding * mask)[list(pair)].sum(axis=0) for pair in members])
    interacting, interaction = _interactions(config)
    shifts[interacting] += interaction
    n_cells = [config.n_control] + [config.cells_per_perturbation] * (len(members) - 1)
    condition = rng.permutation(np.repeat(np.arange(len(members)), n_cells))

    z_basal = rng.standard_normal((condition.size, config.n_latent))
    z = z_basal + shifts[condition]
    loadings, log_base, concentration = _decoder(config, rng)
    counts = _draw_counts(z, loadings, log_base, concentration, config.depth, rng)
    pathways = np.full(names.size, "")
    if config.n_pathways:
        pathways = numbered("pathway_", config.n_pathways)[pathway]
    labels = np.array(["+".join(names[list(pair)]) or "control" for pair in members])
    truth = {
        "mask": mask.astype(np.int8),
        "embedding": embedding.astype(np.float32),
        "perturbations": names.astype(object),
        "pathways": pathways.astype(object),
        "interactions": labels[interacting].astype(object),
        "interaction": interaction.astype(np.float32),
        "loadings": loadings.astype(np.float32),
        "log_base": log_base.astype(np.float32),
        "concentration": concentration.astype(np.float32),
    }
    return AnnData(
        X=counts,
        obs=_annotate(labels, pathways, members, condition),
        var=pd.DataFrame(index=pd.Index(numbered("G", config.n_genes).astype(object))),
        obsm={"z_basal_truth": z_basal.astype(np.float32), "z_truth": z.astype(np.float32)},
        uns={"simulated": True, "truth": truth},
    )


def _annotate(
    labels: np.ndarray, pathways: np.ndarray, members: list[tuple[int, ...]], condition: np.ndarray
) -> pd.DataFrame:
    """Label and, if there are pathways, pathway of every cell."""
    columns = {"perturbation": pd.Categorical(labels[condition])}
    if pathways.any():
        groups = ["+".join(sorted(set(pathways[list(pair)]))) or "control" for pair in members]
        columns["pathway"] = pd.Categorical(np.array(groups)[condition])
    index = pd.Index(numbered("cell_", condition.size).astype(object))
    return pd.DataFrame(columns, index=index)


def _effects(
    config: SimulationConfig, pathway: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Masks and embeddings of all perturbations, both (T, L)."""
    shape = (config.n_perturbations, config.n_latent)
    if config.n_pathways == 0:
        return sparse_effects(shape, config.mask_density, config.shift, rng)
    programme = _pathway_masks(config, rng)[pathway]
    mask = programme & (rng.random(shape) < KEPT_OF_PATHWAY)
    sign = rng.choice([-1.0, 1.0], size=(config.n_pathways, config.n_latent))[pathway]
    mask = at_least_one(mask, programme.argmax(axis=1))
    return mask, sign * sizes(shape, config.shift, rng)


def _interactions(config: SimulationConfig) -> tuple[np.ndarray, np.ndarray]:
    """Places of the interacting pairs in the design (K,), and their interactions (K, L)."""
    rng = np.random.default_rng([config.seed, 1])
    first_pair = 1 + config.n_perturbations
    chosen = np.sort(rng.permutation(config.n_doubles)[: config.n_interactions])
    mask, embedding = sparse_effects(
        (chosen.size, config.n_latent), config.mask_density, config.interaction_shift, rng
    )
    return first_pair + chosen, embedding * mask


def _pathway_masks(config: SimulationConfig, rng: np.random.Generator) -> np.ndarray:
    """Open latents of every pathway, (n_pathways, L), overlapping as little as chance allows."""
    n_open = max(1, round(config.mask_density * config.n_latent))
    masks = np.zeros((config.n_pathways, config.n_latent), dtype=bool)
    used = np.zeros(config.n_latent)
    for row in masks:
        chosen = np.lexsort((rng.random(config.n_latent), used))[:n_open]
        row[chosen] = True
        used[chosen] += 1
    return masks


def _design(config: SimulationConfig, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Perturbations of every condition: the control, all singles, and random doubles."""
    n = config.n_perturbations
    singles: list[tuple[int, ...]] = [(t,) for t in range(n)]
    pairs = np.array(list(combinations(range(n), 2)), dtype=int).reshape(-1, 2)
    chosen = rng.permutation(len(pairs))[: config.n_doubles]
    return [(), *singles, *(tuple(map(int, pair)) for pair in pairs[np.sort(chosen)])]


def _decoder(
    config: SimulationConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loadings (L, G), log base expression (G,) and concentrations (G,)."""
    shape = (config.n_latent, config.n_genes)
    loadings = rng.normal(0.0, LOADING_SD, size=shape) * (rng.random(shape) < LOADING_SHARE)
    log_base = rng.normal(0.0, BASE_SD, size=config.n_genes)
    concentration = np.exp(rng.normal(np.log(5.0), 0.5, size=config.n_genes))
    return loadings, log_base, concentration


def _draw_counts(
    z: np.ndarray,
    loadings: np.ndarray,
    log_base: np.ndarray,
    concentration: np.ndarray,
    depth: float,
    rng: np.random.Generator,
) -> sparse.csr_matrix:
    """Gamma-Poisson counts of all cells, a few thousand cells at a time."""
    blocks = []
    for start in range(0, z.shape[0], CHUNK_CELLS):
        proportions = softmax(log_base + z[start : start + CHUNK_CELLS] @ loadings, axis=1)
        library = depth * np.exp(
            rng.normal(-0.5 * LIBRARY_SD**2, LIBRARY_SD, size=(len(proportions), 1))
        )
        rate = rng.gamma(concentration, library * proportions / concentration)
        blocks.append(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)))
    return sparse.vstack(blocks, format="csr")
