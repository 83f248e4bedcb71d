"""The authors' configuration and parameters, in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from sams_core.api import FAMILIES
from sams_core.errors import CheckpointError
from sams_core.record import Combinations
from sams_core.reference.names import our_name
from sams_core.reference.reading import ReferenceFile

MEAN_FLOOR = 1e-4
"""Their decoder adds it to every expected count."""

_LEARNED_MASK = "SAMSVAEBetaBernoulliModel"
_FAMILIES = {
    ("SAMSVAEModel", "SAMSVAECorrelatedNormalGuide"): "sams_vae",
    ("SAMSVAEModel", "SAMSVAEMeanFieldNormalGuide"): "sams_vae",
    (_LEARNED_MASK, "SAMSVAEBetaBernoulliMeanFieldBernoulliNormalGuide"): "sams_vae",
    ("CPAVAEModel", "CPAVAENormalGuide"): "cpa_vae",
    ("SVAEPlusModel", "SVAEPlusGuide"): "svae_plus",
    ("ConditionalVAEModel", "ConditionalVAEGuide"): "conditional_vae",
}
_FIXED = {
    "model.p_E_scale": "embedding_prior_scale",
    "model.p_mask_probs": "mask_prior",
    "model.p_mask_probs_alpha": "mask_prior_a",
    "model.p_mask_probs_beta": "mask_prior_b",
    "model.mask_beta_concentration_1": "mask_prior_a",
    "model.mask_beta_concentration_2": "mask_prior_b",
    "guide.gs_temperature": "mask_temperature",
}
"""Buffers of theirs that repeat one hyperparameter."""
_FROM_THE_SCREEN = ("cells_per_perturbation", "n_training_cells", "library_size_quantiles")


class _Arguments(BaseModel):
    """Arguments of both of their classes; one that is not known here could change the model."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    n_latent: int
    n_treatments: int
    n_phenos: int


class _Model(_Arguments):
    likelihood_key: Literal["library_nb"]
    decoder_n_layers: int
    decoder_n_hidden: int
    embedding_prior_scale: float = 1.0
    mask_prior_prob: float | None = None
    mask_prior_a: float | None = Field(
        None, validation_alias=AliasChoices("mask_prior_alpha", "mask_beta_concentration_1")
    )
    mask_prior_b: float | None = Field(
        None, validation_alias=AliasChoices("mask_prior_beta", "mask_beta_concentration_2")
    )


class _Guide(_Arguments):
    n_layers: int = Field(
        validation_alias=AliasChoices("basal_encoder_n_layers", "encoder_n_layers")
    )
    n_hidden: int = Field(
        validation_alias=AliasChoices("basal_encoder_n_hidden", "encoder_n_hidden")
    )
    input_normalization: Literal["log_standardize"] = Field(
        validation_alias=AliasChoices(
            "basal_encoder_input_normalization", "encoder_input_normalization"
        )
    )
    embedding_encoder_n_layers: int | None = None
    embedding_encoder_n_hidden: int | None = None
    mean_field_encoder: bool = False
    mask_init_logits: float = 0.0
    gs_temperature: float = 1.0
    embedding_loc_init_scale: float = 0.0
    embedding_scale_init: float = 1.0
    x_normalization_stats: Any = None


_Kind = TypeVar("_Kind", bound=BaseModel)


@dataclass(frozen=True)
class Translation:
    """A checkpoint of the authors' code in our terms.

    Attributes
    ----------
    source
        Their names of the model and the guide.
    family, hyperparameters, combinations
        What :mod:`sams_core.api` makes the model from.
    n_genes, n_perturbations
        Sizes of the screen that it was trained on.
    state
        Parameters and buffers under our names, without what is counted in the screen.
    """

    source: str
    family: str
    hyperparameters: dict[str, Any]
    combinations: Combinations
    n_genes: int
    n_perturbations: int
    state: dict[str, Tensor]


def translate(file: ReferenceFile) -> Translation:
    """Translate a checkpoint of the authors' code, checking that its parts agree.

    Raises
    ------
    CheckpointError
        When it holds another model, or one with options that ours does not have.
    """
    source = tuple(str(file.config.get(key)) for key in ("model", "guide"))
    family = _FAMILIES.get((source[0], source[1]))
    if family is None:
        known = ", ".join(sorted({model for model, _ in _FAMILIES}))
        raise CheckpointError(
            f"{file.path} holds a model {source[0]!r} with a guide {source[1]!r}, which cannot be "
            f"imported; known are {known} with the guides of the paper."
        )
    model = _arguments(file, "model_kwargs", _Model)
    guide = _arguments(file, "guide_kwargs", _Guide)
    hyperparameters = _hyperparameters(file, family, model, guide)
    own = _section(file, "data_module_kwargs").get("encode_combos_as_unique", False)
    _check_fixed(file, hyperparameters)
    found = Translation(
        source=" with ".join(source),
        family=family,
        hyperparameters=hyperparameters,
        combinations="own" if own else "sum",
        n_genes=model.n_phenos,
        n_perturbations=model.n_treatments,
        state=_renamed(file),
    )
    _check_shapes(file, found)
    return found


def _section(file: ReferenceFile, name: str) -> Mapping[str, Any]:
    section = file.config.get(name)
    return section if isinstance(section, dict) else {}


def _arguments(file: ReferenceFile, name: str, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate(_section(file, name))
    except ValidationError as error:
        problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    reason = problem["msg"][0].lower() + problem["msg"][1:]
    raise CheckpointError(
        f"{file.path} has {name} that cannot be imported, because of {where!r}: {reason}."
    )


def _hyperparameters(
    file: ReferenceFile, family: str, model: _Model, guide: _Guide
) -> dict[str, Any]:
    for ours, theirs in (
        (model.decoder_n_layers, guide.n_layers),
        (model.decoder_n_hidden, guide.n_hidden),
        (model.n_latent, guide.n_latent),
    ):
        if ours != theirs:
            raise CheckpointError(
                f"{file.path} has a decoder and an encoder of different size ({ours} and "
                f"{theirs}), which models here cannot have."
            )
    values: dict[str, Any] = {
        "n_latent": model.n_latent,
        "n_hidden": model.decoder_n_hidden,
        "n_layers": model.decoder_n_layers,
        "mean_floor": MEAN_FLOOR,
    }
    correlated_e = guide.embedding_encoder_n_hidden is not None
    if family in ("sams_vae", "cpa_vae"):
        values["embedding_prior_scale"] = model.embedding_prior_scale
        values["inference"] = _inference(not guide.mean_field_encoder, correlated_e)
    if family in ("sams_vae", "svae_plus"):
        values["mask_temperature"] = guide.gs_temperature
        values["initial_mask_probability"] = float(torch.tensor(guide.mask_init_logits).sigmoid())
        values["mask_prior_a"], values["mask_prior_b"] = model.mask_prior_a, model.mask_prior_b
    if family == "sams_vae":
        values["learned_mask_prior"] = file.config["model"] == _LEARNED_MASK
        values["mask_prior"] = model.mask_prior_prob
        values["embedding_table"] = False
        values["embedding_n_hidden"] = guide.embedding_encoder_n_hidden
        values["embedding_n_layers"] = guide.embedding_encoder_n_layers
    return {name: value for name, value in values.items() if value is not None}


def _inference(correlated_z: bool, correlated_e: bool) -> str:
    if correlated_z:
        return "correlated" if correlated_e else "correlated_z"
    return "correlated_e" if correlated_e else "mean_field"


def _check_fixed(file: ReferenceFile, hyperparameters: Mapping[str, Any]) -> None:
    """Refuse priors that vary over entries, which models here cannot have."""
    expected = {
        "model.p_E_loc": 0.0,
        **{
            theirs: hyperparameters[ours]
            for theirs, ours in _FIXED.items()
            if ours in hyperparameters
        },
    }
    for name, value in file.state.items():
        if our_name(name) is not None:
            continue
        if name == "guide.treatment_one_hot":
            fixed = torch.eye(*value.shape) if value.ndim == 2 else torch.zeros(())
        elif name in expected:
            fixed = torch.full_like(value, expected[name], dtype=torch.float32)
        else:
            raise CheckpointError(f"{file.path} holds a tensor {name!r} that is not known here.")
        if fixed.shape != value.shape or not torch.allclose(value.float(), fixed):
            raise CheckpointError(
                f"{file.path} holds a {name!r} that its configuration does not explain, which "
                "models here cannot have."
            )


def _renamed(file: ReferenceFile) -> dict[str, Tensor]:
    named = ((our_name(name), value) for name, value in file.state.items())
    return {name: value.float() for name, value in named if name is not None}


def _check_shapes(file: ReferenceFile, found: Translation) -> None:
    """Refuse tensors that are not those of the model that the configuration describes."""
    family = FAMILIES[found.family]
    try:
        with torch.device("meta"):
            config = family.Config.model_validate(found.hyperparameters)
            module = family.Module(config, found.n_genes, found.n_perturbations)
    except (ValidationError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{file.path} describes a model that cannot be made here: a size or a prior in its "
            "configuration is out of range."
        ) from error
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    for name in _FROM_THE_SCREEN:
        del expected[name]
    shapes = {name: tuple(value.shape) for name, value in found.state.items()}
    for split, counts in file.cells.items():
        name = f"cells that {split}"
        expected[name], shapes[name] = (found.n_perturbations,), tuple(counts.shape)
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise CheckpointError(
                f"{file.path} holds for {name!r} a tensor of shape {shapes.get(name, 'none')}, "
                f"but its configuration asks for {expected.get(name, 'none')}: it is damaged or "
                "was changed."
            )
