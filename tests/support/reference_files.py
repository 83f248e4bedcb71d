"""Checkpoint files as the authors' code writes them, with weights that say what they are of."""

from __future__ import annotations

import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

G, L, H, E = 30, 3, 6, 5
"""Genes, latent dimensions, hidden units, and hidden units of the network for E given M."""

CLASSES = {
    "sams_vae": ("SAMSVAEModel", "SAMSVAECorrelatedNormalGuide"),
    "svae_plus": ("SVAEPlusModel", "SVAEPlusGuide"),
    "conditional_vae": ("ConditionalVAEModel", "ConditionalVAEGuide"),
}


class ObservationNormalizationStatistics:
    """The one class of theirs in a file."""

    def __init__(self, log_mean: Tensor) -> None:
        self.x_mean, self.x_std = log_mean.expm1(), torch.ones(len(log_mean))
        self.log_x_mean, self.log_x_std = log_mean, torch.ones(len(log_mean))


ObservationNormalizationStatistics.__module__ = "sams_vae.data.utils.perturbation_datamodule"


@contextmanager
def their_package() -> Iterator[None]:
    """As if their package were installed."""
    path = ObservationNormalizationStatistics.__module__
    parts = path.split(".")
    names = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    added = {name: types.ModuleType(name) for name in names}
    vars(added[path])["ObservationNormalizationStatistics"] = ObservationNormalizationStatistics
    sys.modules.update(added)
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


def label(name: str) -> float:
    """The number that stands for a perturbation in these weights."""
    return sum(ord(letter) * 0.001 for letter in name) + len(name)


def columns(names: Sequence[str], n_rows: int) -> Tensor:
    """Columns that a network reads of each perturbation."""
    return torch.tensor([[label(name) for name in names]]).repeat(n_rows, 1)


def state_of(family: str, names: Sequence[str], log_mean: Tensor) -> dict[str, Tensor]:
    """Model and guide under their names, each perturbation's numbers being its label."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return 0.3 * torch.randn(shape, generator=generator)

    T = len(names)
    rows = torch.tensor([[label(name)] for name in names]).repeat(1, L)
    told = family == "conditional_vae"
    reads = torch.cat([random(H, L), columns(names, H)], 1) if told else random(H, L)
    encoder = "z_basal_encoder" if family == "sams_vae" else "z_encoder"
    sees = {
        "sams_vae": random(H, G + L),
        "svae_plus": random(H, G),
        "conditional_vae": torch.cat([random(H, G), columns(names, H)], 1),
    }[family]
    state = {
        "model.decoder.log_concentration": random(G),
        "model.decoder.mlp.layers.0.0.weight": reads,
        "model.decoder.mlp.layers.0.0.bias": random(H),
        "model.decoder.normalized_mean_decoder.0.weight": random(G, H),
        "model.decoder.normalized_mean_decoder.0.bias": random(G),
        "guide.normalization_module.log_mean": log_mean,
        "guide.normalization_module.log_scale": torch.ones(G),
        f"guide.{encoder}.mlp.layers.0.0.weight": sees,
        f"guide.{encoder}.mlp.layers.0.0.bias": random(H),
        f"guide.{encoder}.mean_encoder.weight": random(L, H),
        f"guide.{encoder}.mean_encoder.bias": random(L),
        f"guide.{encoder}.log_var_encoder.weight": random(L, H),
        f"guide.{encoder}.log_var_encoder.bias": random(L),
    }
    if family != "conditional_vae":
        state["guide.param_dict.q_mask_logits"] = rows
        state["guide.gs_temperature"] = torch.ones(1)
    if family == "svae_plus":
        state["model.action_prior_mean"] = 2 * rows
        state["model.mask_beta_concentration_1"] = torch.ones(T, L)
        state["model.mask_beta_concentration_2"] = torch.full((T, L), 5.0)
    if family == "sams_vae":
        state |= {
            "model.p_E_loc": torch.zeros(T, L),
            "model.p_E_scale": torch.ones(T, L),
            "model.p_mask_probs": torch.full((T, L), 0.1),
            "guide.treatment_one_hot": torch.eye(T),
            "guide.embedding_encoder.mlp.layers.0.0.weight": torch.cat(
                [random(E, L), columns(names, E)], 1
            ),
            "guide.embedding_encoder.mlp.layers.0.0.bias": random(E),
            "guide.embedding_encoder.mean_encoder.weight": random(L, E),
            "guide.embedding_encoder.mean_encoder.bias": random(L),
            "guide.embedding_encoder.log_var_encoder.weight": random(L, E),
            "guide.embedding_encoder.log_var_encoder.bias": random(L),
        }
    return state


def arguments_of(family: str, n_perturbations: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of their model and of their guide."""
    sizes = {"n_latent": L, "n_treatments": n_perturbations, "n_phenos": G}
    model = {
        **sizes, "likelihood_key": "library_nb", "decoder_n_layers": 1, "decoder_n_hidden": H,
    }  # fmt: skip
    prefix = "basal_encoder" if family == "sams_vae" else "encoder"
    guide = {
        **sizes, f"{prefix}_n_layers": 1, f"{prefix}_n_hidden": H,
        f"{prefix}_input_normalization": "log_standardize",
    }  # fmt: skip
    if family == "sams_vae":
        model |= {"embedding_prior_scale": 1, "mask_prior_prob": 0.1}
        guide |= {"embedding_encoder_n_layers": 1, "embedding_encoder_n_hidden": E}
    if family == "svae_plus":
        model |= {"mask_beta_concentration_1": 1, "mask_beta_concentration_2": 5}
        guide |= {"mask_init_logits": 0}
    return model, guide


def reference_file(
    family: str,
    names: Sequence[str],
    log_mean: Tensor,
    cells: Mapping[str, Tensor],
    *,
    own: bool = False,
) -> dict[str, Any]:
    """What Lightning pickles of a model of theirs whose perturbations are ``names``."""
    state = state_of(family, names, log_mean)
    model, guide = CLASSES[family]
    model_arguments, guide_arguments = arguments_of(family, len(names))
    guide_arguments["x_normalization_stats"] = ObservationNormalizationStatistics(log_mean)
    return {
        "epoch": 1,
        "global_step": 40,
        "loops": {},
        "callbacks": {},
        "state_dict": OrderedDict(
            {f"D_obs_counts_{split}": counts for split, counts in cells.items()}
            | {f"{copy}.{k}": v for copy in ("loss_module", "predictor") for k, v in state.items()}
        ),
        "optimizer_states": [{"state": defaultdict(dict, {0: {"step": torch.tensor(1.0)}})}],
        "hyper_parameters": {
            "config": {
                "name": family,
                "seed": 3,
                "model": model,
                "guide": guide,
                "model_kwargs": model_arguments,
                "guide_kwargs": guide_arguments,
                "data_module_kwargs": {"batch_size": 64, "encode_combos_as_unique": own},
                "lightning_module_kwargs": {"lr": 0.02, "n_particles": 5},
            }
        },
    }


def write(path: Path, content: object, **options: Any) -> Path:
    """Save with PyTorch, as Lightning does."""
    with their_package():
        torch.save(content, path, **options)
    return path
