"""Tiny models with made-up weights, open and closed masks and effects worth measuring."""

from __future__ import annotations

from typing import Any

import torch

from sams_core.models import Inference, PerturbationVAE, SAMSVAEModule
from tests.support.tiny import variant_module


def small_module(inference: Inference = "correlated", **options: Any) -> SAMSVAEModule:
    """A SAMS-VAE of a few genes; options as :func:`small_variant`."""
    module = small_variant(f"sams_vae {inference}", **options)
    assert isinstance(module, SAMSVAEModule)
    return module


def small_variant(
    variant: str = "sams_vae correlated",
    *,
    n_genes: int = 12,
    n_perturbations: int = 3,
    n_latent: int = 4,
    n_batches: int = 0,
    seed: int = 0,
) -> PerturbationVAE:
    """A model whose guide has certain, uncertain and closed mask entries, where it has a mask.

    ``variant`` is one of :data:`tests.support.tiny.VARIANTS`. The last perturbation's mask is
    closed.
    """
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"n_latent": n_latent, "n_hidden": 8}
    if variant.startswith("sams_vae"):
        settings["embedding_n_hidden"] = 6
    module = variant_module(variant, n_genes, n_perturbations, n_batches, **settings)
    shape = (n_perturbations, n_latent)
    named = dict(module.named_parameters())
    with torch.no_grad():
        module.decoder_head.weight.mul_(4.0)
        module.decoder_head.bias.copy_(torch.randn(n_genes))
        module.log_concentration.copy_(torch.linspace(-1.0, 2.0, n_genes))
        if module.mask_logits is not None:
            module.mask_logits.copy_(torch.randn(shape) * 3)
            module.mask_logits[-1] = -20.0
        if "embedding_head.mean.weight" in named:
            named["embedding_head.mean.weight"].mul_(5.0)
            named["embedding_head.log_variance.bias"].fill_(-2.0)
        for name in ("embedding_loc", "prior_shift"):
            if name in named:
                named[name].copy_(torch.randn(shape) * 2)
        if "embedding_log_scale" in named:
            named["embedding_log_scale"].fill_(-1.0)
    return module.eval()
