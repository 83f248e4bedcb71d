"""Our models carrying the weights of the independent implementation's fixtures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sams_core.models import (
    ConditionalVAEConfig,
    ConditionalVAEModule,
    CPAVAEConfig,
    CPAVAEModule,
    Minibatch,
    PerturbationVAE,
    SAMSVAEConfig,
    SAMSVAEModule,
    ShiftSample,
    SVAEPlusConfig,
    SVAEPlusModule,
)
from sams_core.reference import our_name

SAMS_FIXTURES = ("sams_corr", "sams_mf_mfe", "sams_mf_deep", "sams_bb_mf")
FIXTURES = (*SAMS_FIXTURES, "cpa", "svae", "cvae")


@dataclass(frozen=True)
class Fixture:
    """A model with the fixture's weights, and the fixture's arrays."""

    module: PerturbationVAE
    arrays: dict[str, np.ndarray]
    batch: Minibatch
    dtype: torch.dtype

    def tensor(self, key: str) -> Tensor:
        return torch.as_tensor(self.arrays[key]).to(self.dtype)

    def sample(self, prefix: str = "sample") -> ShiftSample:
        """The stored draws of the global variables."""
        module = self.module
        n_particles = len(next(v for k, v in self.arrays.items() if k.startswith(f"{prefix}/z")))
        if isinstance(module, SVAEPlusModule):
            mask = self.tensor(f"{prefix}/mask")
            loc = module.prior_shift[None]
            return ShiftSample(mask, loc.expand(mask.shape), loc, torch.zeros_like(loc))
        if isinstance(module, ConditionalVAEModule):
            return module.sample_shift_parameters(n_particles)
        assert isinstance(module, SAMSVAEModule | CPAVAEModule)
        embedding = self.tensor(f"{prefix}/E")
        mask = self.tensor(f"{prefix}/mask") if module.has_mask else torch.ones_like(embedding)
        return ShiftSample(mask, embedding, *module.embedding_posterior(mask))

    def z_basal(self, shift: Tensor, prefix: str = "sample") -> Tensor:
        """The stored basal states; SVAE+ stores them with their shift."""
        if f"{prefix}/z_basal" in self.arrays:
            return self.tensor(f"{prefix}/z_basal")
        return self.tensor(f"{prefix}/z") - shift


def load_fixture(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> Fixture:
    """Read ``NAME.json`` and ``NAME.npz`` into our own module."""
    settings = json.loads((folder / f"{name}.json").read_text())
    model = settings["model_kwargs"]
    with np.load(folder / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    module = _empty(settings, model["n_phenos"], model["n_treatments"])
    state = {
        ours: torch.as_tensor(value)
        for key, value in arrays.items()
        if key.startswith("state/") and (ours := our_name(key.removeprefix("state/")))
    }
    state["cells_per_perturbation"] = torch.as_tensor(arrays["in/D_obs_counts"])
    for name in ("n_training_cells", "library_size_quantiles"):
        state[name] = module.state_dict()[name]
    module.load_state_dict(state, strict=True)
    module.to(dtype)
    counts, dosages, library_size = (
        torch.as_tensor(arrays[f"in/{key}"]).to(dtype) for key in ("X", "D", "library_size")
    )
    batch = Minibatch(counts, dosages, library_size)
    return Fixture(module, arrays, batch, dtype)


def _empty(settings: dict[str, Any], *sizes: int) -> PerturbationVAE:
    """A model of the fixture's family, with the fixture's hyperparameters."""
    model, guide = settings["model_kwargs"], settings["guide_kwargs"]
    shared = {
        "n_latent": model["n_latent"],
        "n_hidden": model["decoder_n_hidden"],
        "n_layers": model["decoder_n_layers"],
        "mean_floor": 1e-4,
    }
    if settings["model"] == "ConditionalVAEModel":
        return ConditionalVAEModule(ConditionalVAEConfig.model_validate(shared), *sizes)
    if settings["model"] == "SVAEPlusModel":
        shared["mask_prior_a"] = model["mask_beta_concentration_1"]
        shared["mask_prior_b"] = model["mask_beta_concentration_2"]
        return SVAEPlusModule(SVAEPlusConfig.model_validate(shared), *sizes)
    shared["embedding_prior_scale"] = model["embedding_prior_scale"]
    correlated_z = not guide["mean_field_encoder"]
    if settings["model"] == "CPAVAEModel":
        shared["inference"] = "correlated_z" if correlated_z else "mean_field"
        return CPAVAEModule(CPAVAEConfig.model_validate(shared), *sizes)
    shared["inference"] = {
        (True, True): "correlated",
        (True, False): "correlated_z",
        (False, True): "correlated_e",
        (False, False): "mean_field",
    }[correlated_z, "embedding_encoder_n_hidden" in guide]
    shared["embedding_table"] = False
    shared["embedding_n_hidden"] = guide.get("embedding_encoder_n_hidden", 1)
    shared["embedding_n_layers"] = guide.get("embedding_encoder_n_layers", 1)
    if settings["model"] == "SAMSVAEBetaBernoulliModel":
        shared["learned_mask_prior"] = True
        shared["mask_prior_a"] = model["mask_prior_alpha"]
        shared["mask_prior_b"] = model["mask_prior_beta"]
    else:
        shared["mask_prior"] = model["mask_prior_prob"]
    return SAMSVAEModule(SAMSVAEConfig.model_validate(shared), *sizes)
