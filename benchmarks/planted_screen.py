"""A simulated screen in which pairs of perturbations interact as planted, and its true effects.

Perturbations activate pathways, and activities add: ``a = D d`` with one pathway and one dose
about 1 for each perturbation. A gene's log rate is ``log b + z_basal V + sum_p w_p f_p(a_p)`` with
link functions ``f_p(1) = 1``: two pathways each are

* ``synergy``: ``f(a) = a^1.6``, so that two doses of 1 do half as much again as their sum;
* ``suppression``: ``f(a) = (1 - exp(-a)) / (1 - exp(-1))``, about a third less than the sum;
* ``none``: ``f(a) = a``.

Pairs of different pathways do not interact either. Counts are gamma-Poisson about library size
times softmax proportions. The link functions are not the model's decoder, nor is one latent
dimension a pathway's by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse
from scipy.special import log_softmax

from sams_core.analysis.expected import expected_log_normalised
from sams_core.data import Screen
from sams_core.data.simulated_effects import numbered

FloatArray = npt.NDArray[np.float64]
Pair = tuple[int, int]

KINDS = ("synergy", "suppression", "none")
PATHWAYS_OF_KIND = 2
N_BASAL = 4
N_GENES = 300
CONTROL_CELLS, SINGLE_CELLS, PAIR_CELLS = 2000, 200, 120
DEPTH, LIBRARY_SD = 5000.0, 0.35
GENE_SHARE, GENE_SD = 0.2, 0.5  # genes that a pathway moves; natural log units at activity 1
BASAL_SD, BASE_SD = 0.15, 1.0
_STATES = 256  # antithetic pairs of cell states behind the true effects


@dataclass(frozen=True)
class Planted:
    """What the screen is made of.

    Attributes
    ----------
    names
        Of the T perturbations.
    pathway : (T,) array
        Pathway of each; pathways 0 and 1 are of the first of :data:`KINDS`, and so on.
    dose : (T,) array
        Activity that each adds to its pathway.
    weights : (P, G) array
        Natural log of the fold change of each gene at activity 1.
    basal : (B, G) array
        Loadings of the unperturbed cells' states.
    log_base, concentration : (G,) arrays
        Of the counts.
    measured, unmeasured
        Pairs with cells, and pairs of the same mixture without.
    """

    names: npt.NDArray[np.object_]
    pathway: npt.NDArray[np.intp]
    dose: FloatArray
    weights: FloatArray
    basal: FloatArray
    log_base: FloatArray
    concentration: FloatArray
    measured: tuple[Pair, ...]
    unmeasured: tuple[Pair, ...]

    def kind(self, pair: Pair) -> str:
        """What the pair was planted to do."""
        first, second = self.pathway[list(pair)]
        return KINDS[first // PATHWAYS_OF_KIND] if first == second else "none"

    def log_fold(self, members: Sequence[int]) -> FloatArray:
        """Natural log of the fold change of every gene's rate: (G,)."""
        chosen = list(members)
        activity = np.bincount(self.pathway[chosen], self.dose[chosen], minlength=len(self.weights))
        kinds = np.arange(len(activity)) // PATHWAYS_OF_KIND
        linked = np.choose(kinds, [activity**1.6, np.expm1(-activity) / np.expm1(-1.0), activity])
        return linked @ self.weights


def plant(
    *, n_of_pathway: int = 10, n_measured: int = 16, n_unmeasured: int = 24, seed: int = 0
) -> Planted:
    """Draw a screen's truth.

    Parameters
    ----------
    n_of_pathway
        Perturbations of each of the six pathways.
    n_measured, n_unmeasured
        Pairs within each pathway that have cells, and that have none. There are half as many pairs
        across pathways.
    seed
        Of everything random.
    """
    rng = np.random.default_rng(seed)
    n_pathways = len(KINDS) * PATHWAYS_OF_KIND
    pathway = np.repeat(np.arange(n_pathways), n_of_pathway)
    pairs = list(combinations(range(pathway.size), 2))
    strata = [[p for p in pairs if (pathway[list(p)] == own).all()] for own in range(n_pathways)]
    strata.append([p for p in pairs if pathway[p[0]] != pathway[p[1]]])
    shares = [1] * n_pathways + [n_pathways // 2]
    measured: list[Pair] = []
    unmeasured: list[Pair] = []
    for stratum, share in zip(strata, shares, strict=True):
        order = rng.permutation(len(stratum))
        cut, end = share * n_measured, share * (n_measured + n_unmeasured)
        measured += [stratum[i] for i in order[:cut]]
        unmeasured += [stratum[i] for i in order[cut:end]]
    moved = rng.random((n_pathways, N_GENES)) < GENE_SHARE
    return Planted(
        numbered("P", pathway.size).astype(object),
        pathway,
        rng.uniform(0.7, 1.3, pathway.size),
        moved * rng.normal(0.0, GENE_SD, moved.shape),
        rng.normal(0.0, BASAL_SD, (N_BASAL, N_GENES)),
        rng.normal(0.0, BASE_SD, N_GENES),
        np.exp(rng.normal(np.log(5.0), 0.5, N_GENES)),
        tuple(measured),
        tuple(unmeasured),
    )


def planted_screen(truth: Planted, *, seed: int = 0) -> Screen:
    """Draw cells: controls, every single and the measured pairs."""
    rng = np.random.default_rng([seed, 1])
    members = [(), *((t,) for t in range(truth.names.size)), *truth.measured]
    sizes = [CONTROL_CELLS] + [SINGLE_CELLS] * truth.names.size + [PAIR_CELLS] * len(truth.measured)
    labels = np.array(["+".join(truth.names[list(each)]) or "control" for each in members])
    blocks = [_cells(truth, each, n, rng) for each, n in zip(members, sizes, strict=True)]
    condition = np.repeat(labels, sizes)
    data = AnnData(
        sparse.vstack(blocks, format="csr"),
        obs=pd.DataFrame({"perturbation": condition}, index=numbered("cell_", condition.size)),
        var=pd.DataFrame(index=numbered("G", N_GENES)),
        uns={"simulated": True},
    )
    return Screen.from_anndata(data, perturbation_key="perturbation", control="control")


def true_effects(truth: Planted, members: Sequence[Sequence[int]], *, seed: int = 0) -> FloatArray:
    """Mean ``log2(1e4 x / sum(x) + 1)`` of conditions minus that of the control: (C, G).

    Exact given a cell's state and library size, and averaged over 512 of them that all conditions
    share, antithetic in the state.
    """
    rng = np.random.default_rng([seed, 2])
    half = rng.standard_normal((_STATES, N_BASAL))
    states = np.concatenate([half, -half]) @ truth.basal + truth.log_base  # (S, G)
    log_library = np.tile(_log_library(_STATES, rng), (2, 1))
    log_concentration = torch.as_tensor(np.log(truth.concentration))

    def expected(chosen: Sequence[int]) -> FloatArray:
        log_mean = log_library + log_softmax(states + truth.log_fold(chosen), axis=1)
        found = expected_log_normalised(torch.as_tensor(log_mean), log_concentration)
        return np.asarray(found.mean(0))

    control = expected(())
    return np.array([expected(each) - control for each in members])


def _cells(
    truth: Planted, members: Sequence[int], n: int, rng: np.random.Generator
) -> sparse.csr_matrix:
    states = rng.standard_normal((n, N_BASAL)) @ truth.basal + truth.log_base
    log_mean = _log_library(n, rng) + log_softmax(states + truth.log_fold(members), axis=1)
    rate = rng.gamma(truth.concentration, np.exp(log_mean) / truth.concentration)
    return sparse.csr_matrix(rng.poisson(rate).astype(np.float32))


def _log_library(n: int, rng: np.random.Generator) -> FloatArray:
    return np.log(DEPTH) + rng.normal(-0.5 * LIBRARY_SD**2, LIBRARY_SD, (n, 1))
