"""Our SAMS-VAE carrying the weights of the independent implementation's fixtures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sams_core.models import Minibatch, ModelConfig, SAMSVAEModule, ShiftSample

SAMS_FIXTURES = ("sams_corr", "sams_mf_mfe", "sams_mf_deep")

_RENAMED = {
    "model.decoder.log_concentration": "log_concentration",
    "model.decoder.normalized_mean_decoder.0": "decoder_head",
    "model.decoder.mlp": "decoder",
    "guide.param_dict.q_mask_logits": "mask_logits",
    "guide.param_dict.q_E_loc": "embedding_loc",
    "guide.param_dict.q_E_log_scale": "embedding_log_scale",
    "guide.embedding_encoder.mlp": "embedding_encoder",
    "guide.embedding_encoder.mean_encoder": "embedding_head.mean",
    "guide.embedding_encoder.log_var_encoder": "embedding_head.log_variance",
    "guide.z_basal_encoder.mlp": "basal_encoder",
    "guide.z_basal_encoder.mean_encoder": "basal_head.mean",
    "guide.z_basal_encoder.log_var_encoder": "basal_head.log_variance",
    "guide.normalization_module.": "",
}


def our_name(theirs: str) -> str | None:
    """Our parameter's name for one of theirs, or None for what we do not keep."""
    for prefix, ours in _RENAMED.items():
        if theirs.startswith(prefix):
            name = ours + theirs[len(prefix) :]
            if ".layers." in name:
                name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
            return name
    return None


@dataclass(frozen=True)
class Fixture:
    """A model with the fixture's weights, and the fixture's arrays."""

    module: SAMSVAEModule
    arrays: dict[str, np.ndarray]
    batch: Minibatch
    dtype: torch.dtype

    def tensor(self, key: str) -> Tensor:
        return torch.as_tensor(self.arrays[key]).to(self.dtype)

    def sample(self) -> ShiftSample:
        mask = self.tensor("sample/mask")
        return ShiftSample(mask, self.tensor("sample/E"), *self.module.embedding_posterior(mask))


def load_fixture(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> Fixture:
    """Read ``NAME.json`` and ``NAME.npz`` into our own module."""
    settings = json.loads((folder / f"{name}.json").read_text())
    model, guide = settings["model_kwargs"], settings["guide_kwargs"]
    correlated_z = not guide["mean_field_encoder"]
    correlated_e = "embedding_encoder_n_hidden" in guide
    inference = {
        (True, True): "correlated",
        (True, False): "correlated_z",
        (False, True): "correlated_e",
        (False, False): "mean_field",
    }[correlated_z, correlated_e]
    config = ModelConfig.model_validate(
        {
            "n_latent": model["n_latent"],
            "inference": inference,
            "mask_prior": model["mask_prior_prob"],
            "embedding_prior_scale": model["embedding_prior_scale"],
            "n_hidden": model["decoder_n_hidden"],
            "n_layers": model["decoder_n_layers"],
            "embedding_n_hidden": guide.get("embedding_encoder_n_hidden", 1),
            "embedding_n_layers": guide.get("embedding_encoder_n_layers", 1),
            "mean_floor": 1e-4,
        }
    )
    with np.load(folder / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    module = SAMSVAEModule(config, model["n_phenos"], model["n_treatments"])
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
    batch = Minibatch(
        *(torch.as_tensor(arrays[f"in/{key}"]).to(dtype) for key in ("X", "D", "library_size"))
    )
    return Fixture(module, arrays, batch, dtype)
