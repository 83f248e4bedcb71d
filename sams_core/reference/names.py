"""Names of the authors' parameters, and ours for them."""

from __future__ import annotations

RENAMED = {
    "model.decoder.log_concentration": "log_concentration",
    "model.decoder.normalized_mean_decoder.0": "decoder_head",
    "model.decoder.mlp": "decoder",
    "model.action_prior_mean": "prior_shift",
    "guide.param_dict.q_mask_logits": "mask_logits",
    "guide.param_dict.q_E_loc": "embedding_loc",
    "guide.param_dict.q_E_log_scale": "embedding_log_scale",
    "guide.embedding_encoder.mlp": "embedding_encoder",
    "guide.embedding_encoder.mean_encoder": "embedding_head.mean",
    "guide.embedding_encoder.log_var_encoder": "embedding_head.log_variance",
    "guide.z_basal_encoder.mlp": "basal_encoder",
    "guide.z_basal_encoder.mean_encoder": "basal_head.mean",
    "guide.z_basal_encoder.log_var_encoder": "basal_head.log_variance",
    "guide.z_encoder.mlp": "basal_encoder",
    "guide.z_encoder.mean_encoder": "basal_head.mean",
    "guide.z_encoder.log_var_encoder": "basal_head.log_variance",
    "guide.normalization_module.log_mean": "log_mean",
    "guide.normalization_module.log_scale": "log_scale",
}
"""Theirs, or the beginning of theirs up to a dot, to ours."""


def our_name(theirs: str) -> str | None:
    """Our name of one of the authors' parameters or buffers; None for what we do not keep."""
    for prefix, ours in RENAMED.items():
        if theirs == prefix or theirs.startswith(f"{prefix}."):
            name = ours + theirs[len(prefix) :]
            if ".layers." in name:
                name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
            return name
    return None
