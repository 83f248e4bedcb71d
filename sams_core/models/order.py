"""Random numbers that follow genes and perturbations, not the order they happen to stand in.

Genes are told by their names, perturbations by which cell of the screen carries one first. So a
screen with its genes in another order, or its perturbations under other names, gets the same
initial weights and the same draws, and the same seed trains the same model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sams_core.models.base import PerturbationVAE
from sams_core.models.conditional_vae import ConditionalVAEModule
from sams_core.models.cpa_vae import AdditiveVAE
from sams_core.models.sams_vae import SAMSVAEModule


def perturbation_rank(dosages: sparse.csr_matrix) -> Tensor:
    """Place of each perturbation in the lexicographic order of their cells: to (T,).

    Compared are the ascending numbers of the cells that carry them, as words are by their letters:
    first come perturbations that no cell carries, then those of the earliest cell.
    """
    carried = dosages.tocsc()
    carried.sort_indices()
    cells = np.split(carried.indices.astype(">i8"), carried.indptr[1:-1])
    return _rank(np.array(sorted(range(len(cells)), key=lambda t: cells[t].tobytes())))


def _rank(order: np.ndarray) -> Tensor:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return torch.from_numpy(rank)


@torch.no_grad()
def arrange(module: PerturbationVAE, gene_names: Sequence[str], dosages: sparse.csr_matrix) -> None:
    """Give each gene and each perturbation the initial weights of its rank, in place.

    Parameters
    ----------
    module
        A model with fresh weights.
    gene_names
        Names of the G genes.
    dosages
        (n, T) dosages of the screen's cells.
    """
    genes = _rank(np.argsort(np.asarray(gene_names, dtype=str), kind="stable"))
    perturbations = perturbation_rank(dosages)
    for weights in _over_genes(module):
        weights.copy_(weights[genes])
    for weights in _over_perturbations(module):
        weights.copy_(weights[perturbations])


def _over_genes(module: PerturbationVAE) -> Iterator[Tensor]:
    """Views of random weights with genes on their first axis."""
    yield module.decoder_head.weight
    yield module.basal_encoder.first_weight(0, module.n_genes).T


def _over_perturbations(module: PerturbationVAE) -> Iterator[Tensor]:
    """Views of random weights with perturbations on their first axis."""
    n, n_latent, n_genes = module.n_perturbations, module.n_latent, module.n_genes
    if isinstance(module, ConditionalVAEModule):
        yield module.decoder.first_weight(n_latent, n_latent + n).T
        yield module.basal_encoder.first_weight(n_genes, n_genes + n).T
    if isinstance(module, AdditiveVAE) and module.embedding_table:
        yield module.embedding_loc
    if isinstance(module, SAMSVAEModule) and module.embedding_network:
        yield module.embedding_encoder.first_weight(n_latent, n_latent + n).T
