"""The model's terms in words a biologist uses, one sentence each."""

from __future__ import annotations

GLOSSARY: dict[str, str] = {
    "perturbation": (
        "What was done to the cell: a gene knocked out or switched on, or a compound added."
    ),
    "condition": "A perturbation, or a combination of perturbations, that cells received together.",
    "control": "Cells that received no perturbation, or a guide that targets nothing.",
    "latent dimension": (
        "One axis of the model's compact description of a cell; ideally one mechanism, such as a "
        "signalling response."
    ),
    "mask": (
        "For each perturbation, the latent dimensions that it shifts; all others it leaves alone."
    ),
    "inclusion probability": (
        "How sure the model is that a perturbation shifts a latent dimension, from 0 (does not) "
        "to 1 (does)."
    ),
    "open": (
        "A mask entry is counted open when its inclusion probability is at or above the threshold."
    ),
    "embedding": (
        "How far, and to which side, a perturbation would shift a latent dimension if its mask "
        "entry is open; in units where unperturbed cells spread by about 1."
    ),
    "effect": (
        "The shift that the model applies along a latent dimension: the embedding where the mask "
        "is open, about 0 where it is closed."
    ),
    "basal": (
        "What a cell would look like without its perturbation: its own state, such as cell cycle "
        "or type."
    ),
    "full latent": "The cell's basal state plus the shift of its perturbations.",
    "ATE": (
        "Average treatment effect: how much a gene's mean log2 expression differs between cells "
        "with the perturbation and control cells."
    ),
    "log-fold-change": (
        "The same difference measured in the data: mean log2(1 + counts per 10,000), perturbed "
        "minus control."
    ),
    "held-out cells": "Cells that the model never saw while it was trained.",
    "ceiling": (
        "How well effects measured in training cells agree with those measured in held-out cells: "
        "the agreement that noise leaves, and so what to hope for."
    ),
    "Pearson": (
        "Correlation of predicted and measured effects over genes: 1 is perfect agreement, 0 is "
        "none."
    ),
    "top 20": (
        "The same correlation over each perturbation's 20 most changed genes, averaged over "
        "perturbations."
    ),
    "FDR": (
        "False discovery rate: among the genes called significant at 5%, about 5% are expected to "
        "be false."
    ),
    "ELBO": (
        "The quantity that training raises: how well the model explains each cell's counts, less "
        "a price for complexity; higher is better."
    ),
    "F1": (
        "How well the mask recovers the simulated truth: 1 finds every true entry and nothing "
        "else; it is the harmonic mean of precision and recall."
    ),
    "standard error": "How far the estimate would typically move if it were measured again.",
    "library size": "The number of RNA molecules counted in a cell.",
    "additive expectation": (
        "What a combination would do if each perturbation acted as it does alone and the effects "
        "simply added up."
    ),
    "digest": (
        "A fingerprint of the checkpoint's contents: the same digest means exactly the same model."
    ),
    "UMAP": (
        "A map that places similar points near one another; distances between far-apart groups "
        "mean little."
    ),
}
