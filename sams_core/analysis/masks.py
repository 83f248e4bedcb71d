"""What each perturbation does to the latent space: the table of masks and embeddings."""

from __future__ import annotations

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sams_core.analysis.condition_effects import dosages_of
from sams_core.analysis.metrics import MaskMatch, match_masks
from sams_core.data.annotations import without_clashes
from sams_core.data.screen import Screen
from sams_core.models import shift_moments
from sams_core.perturbation_model import PerturbationModel

OPEN = 0.5
"""Inclusion probability above which a mask entry counts as open."""

_RESPONSE_DRAWS = 64


def masks_table(
    model: PerturbationModel, screen: Screen, effects: ad.AnnData | None = None, *, seed: int = 0
) -> ad.AnnData:
    """Perturbations by latent dimensions: inclusion probabilities, embeddings and effects.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.
    effects
        Table of effects, from which ``n_significant`` is taken: of a perturbation alone, at the
        dose with most, or of the condition that a combination of its own is.
    seed
        Of the posterior draws.

    Returns
    -------
    ``X`` (T, L): inclusion probability. ``layers``: ``embedding_mean``, ``embedding_sd``,
    ``effect`` and ``effect_sd`` in basal standard deviations. ``varm["response"]`` (L, G): what
    each latent does to the genes (:func:`decoder_responses`). ``uns``: ``has_mask`` and
    ``has_shift`` of the model's family (without a mask, ``X`` is 1 where every latent is shifted
    and 0 where none is), and ``truth_mask`` where the truth is known.
    """
    encoded = model.encoded(screen)
    probability = model.mask_probabilities()
    moments = shift_moments(model.module, seed=seed)
    is_open = probability.to_numpy() > OPEN
    latents = pd.DataFrame({"n_open": is_open.sum(0), "used": is_open.any(0)})
    latents.index = pd.Index(probability.columns)
    table = ad.AnnData(
        probability.to_numpy(np.float32),
        obs=_describe_perturbations(model, encoded, effects),
        var=latents,
        layers={
            "embedding_mean": moments.embedding_mean.astype(np.float32),
            "embedding_sd": moments.embedding_sd.astype(np.float32),
            "effect": moments.effect_mean.astype(np.float32),
            "effect_sd": moments.effect_sd.astype(np.float32),
        },
    )
    table.varm["response"] = decoder_responses(model, seed=seed).to_numpy(np.float32)
    table.uns["simulated"] = screen.simulated
    table.uns["has_mask"], table.uns["has_shift"] = model.has_mask, model.has_shift
    truth = true_mask(screen, model.perturbation_names) if model.has_mask else None
    if truth is not None:
        table.uns["truth_mask"] = truth
    return table


@torch.no_grad()
def decoder_responses(model: PerturbationModel, *, seed: int = 0) -> pd.DataFrame:
    """What moving along each latent dimension does to the genes: L latents x G genes.

    The change of the log of a gene's expected share of all counts per basal standard deviation:
    half the difference between one s.d. up and one down, averaged over unperturbed cells drawn
    from the prior.

    Parameters
    ----------
    model
        A trained model.
    seed
        Of the draws.
    """
    module = model.module
    like = module.log_concentration
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(_RESPONSE_DRAWS, module.n_latent, generator=generator).to(like)
    still = like.new_zeros(_RESPONSE_DRAWS, module.n_perturbations)
    responses = like.new_zeros(module.n_latent, module.n_genes)
    for latent in range(module.n_latent):
        step = torch.zeros_like(z)
        step[:, latent] = 1.0
        up, down = (
            module.log_proportions(module.state(z + sign * step, torch.zeros_like(z), still))
            for sign in (1, -1)
        )
        responses[latent] = (up - down).mean(0) / 2
    return pd.DataFrame(responses.cpu().numpy(), index=model.latent_names, columns=model.gene_names)


def true_mask(screen: Screen, names: pd.Index | None = None) -> npt.NDArray[np.int8] | None:
    """Known mask of a simulated screen, or None where it is not known.

    Parameters
    ----------
    screen
        The screen.
    names
        Perturbations or conditions, for the rows; by default the screen's perturbations. A
        combination has the open latents of its perturbations.
    """
    if screen.truth is None or not {"mask", "perturbations"} <= screen.truth.keys():
        return None
    rows = pd.Index(np.asarray(screen.truth["perturbations"]).astype(str))
    order = rows.get_indexer(screen.perturbation_names)
    if (order < 0).any():
        return None
    mask = np.asarray(screen.truth["mask"])[order].astype(np.int8)  # (T, K)
    if names is None:
        return mask
    members = np.zeros((len(names), len(mask)), np.int8)
    known = screen.perturbation_names.get_indexer(names)
    members[known >= 0, known[known >= 0]] = 1
    members[known < 0] = dosages_of(screen, names[known < 0]) != 0
    return (members @ mask > 0).astype(np.int8)


def match_truth(masks: ad.AnnData) -> MaskMatch | None:
    """Match the open entries of trained perturbations with the known mask, where there is one."""
    if "truth_mask" not in masks.uns:
        return None
    trained = (masks.obs["n_cells_train"] > 0).to_numpy()
    return match_masks(masks.uns["truth_mask"][trained], np.asarray(masks.X)[trained] > OPEN)


def perturbation_annotations(screen: Screen) -> pd.DataFrame:
    """Annotations of cells that belong to their perturbation, by perturbation (T rows).

    A column of ``screen.obs`` is taken if it has one value within the cells of every single
    perturbation, differs between perturbations and is not merely their name; a perturbation
    never seen alone has no value.
    """
    per_cell = np.diff(screen.dosages.indptr)
    alone = np.flatnonzero(per_cell == 1)
    code = screen.dosages.indices[screen.dosages.indptr[alone]]
    names = screen.perturbation_names
    groups = pd.Series(np.asarray(names)[code])
    kept: dict[str, pd.Series] = {}
    if groups.duplicated().any():
        for column in screen.obs.columns:
            values = screen.obs[column].iloc[alone].reset_index(drop=True)
            distinct = pd.DataFrame({"group": groups, "value": values}).drop_duplicates()
            if distinct["group"].duplicated().any() or distinct["value"].nunique() < 2:
                continue
            value = distinct.set_index("group")["value"]
            if not (value.astype(str) == value.index).all():
                kept[str(column)] = value.reindex(names)
    return pd.DataFrame(kept, index=names)


def _describe_perturbations(
    model: PerturbationModel, screen: Screen, effects: ad.AnnData | None
) -> pd.DataFrame:
    n_perturbations = screen.n_perturbations
    training = screen.dosages[np.flatnonzero(model.split == "train")]
    counts = pd.DataFrame(
        {
            "n_cells": np.bincount(screen.dosages.indices, minlength=n_perturbations),
            "n_cells_train": np.bincount(training.indices, minlength=n_perturbations),
            "n_significant": 0,
        },
        index=screen.perturbation_names,
    )
    if effects is not None:
        alone = effects.obs[effects.obs["n_perturbations"] == 1]
        over_doses = alone.groupby(alone["perturbations"].astype(str))["n_significant"].max()
        combined = effects.obs["n_significant"].drop(alone.index)
        found = pd.concat([over_doses, combined]).reindex(counts.index)
        counts["n_significant"] = found.fillna(0).astype(int)
    return counts.join(without_clashes(perturbation_annotations(screen), counts.columns))
