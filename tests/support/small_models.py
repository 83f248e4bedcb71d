"""Tiny models with made-up weights, open and closed masks and effects worth measuring."""

from __future__ import annotations

import torch

from sams_core.models import SAMSVAEConfig, SAMSVAEModule
from sams_core.models.config import Inference


def small_module(
    inference: Inference = "correlated",
    *,
    n_genes: int = 12,
    n_perturbations: int = 3,
    n_latent: int = 4,
    n_batches: int = 0,
    seed: int = 0,
) -> SAMSVAEModule:
    """A model of a few genes whose guide has certain, uncertain and closed mask entries."""
    torch.manual_seed(seed)
    config = SAMSVAEConfig.model_validate(
        {"n_latent": n_latent, "inference": inference, "n_hidden": 8, "embedding_n_hidden": 6}
    )
    module = SAMSVAEModule(config, n_genes, n_perturbations, n_batches)
    with torch.no_grad():
        module.decoder_head.weight.mul_(4.0)
        module.decoder_head.bias.copy_(torch.randn(n_genes))
        module.log_concentration.copy_(torch.linspace(-1.0, 2.0, n_genes))
        module.mask_logits.copy_(torch.randn(n_perturbations, n_latent) * 3)
        module.mask_logits[-1] = -20.0
        if config.correlated_embedding:
            module.embedding_head.mean.weight.mul_(5.0)
            module.embedding_head.log_variance.bias.fill_(-2.0)
        else:
            module.embedding_loc.copy_(torch.randn(n_perturbations, n_latent) * 2)
            module.embedding_log_scale.fill_(-1.0)
    return module.eval()
