"""The model's terms, and the figures of an evaluation, in words a biologist uses."""

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
    "calibration": (
        "Probabilities are calibrated if of the entries reported at 0.9 about 90% are real. In "
        "brackets: the share that is real, and its 95% confidence interval, which takes entries "
        "for independent. Over-confident means that fewer are real than claimed."
    ),
    "seed": (
        "The random start of a training. Models trained alike from different seeds should find the "
        "same; where they do not, the data do not decide."
    ),
    "stability": (
        "Share of the seeds in which a mask entry is open, this model's own included, after the "
        "latent dimensions of the others were matched to this model's. Only seeds that were "
        "trained on the perturbation count. An entry that is open in all seeds does not depend on "
        "the random start."
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
        "perturbations; one for which no change is predicted counts as 0."
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
    "predictive interval": (
        "Where the model expects 90% of measurements of a gene's effect to fall, given what it is "
        "unsure of and the chance in as many cells as were measured. Simulated cells have the "
        "library sizes of the training cells."
    ),
    "predictive p-value": (
        "Posterior predictive p-value: how often the model, if it is right, would give a "
        "measurement at least as far out to either side. Small values mean that model and data "
        "disagree. It comes from 2,000 simulated measurements, so that the smallest is 0.0005."
    ),
    "expected significance": (
        "How significant the model expects a gene to be when it is measured in as many cells: its "
        "effect against the spread that it expects of measurements."
    ),
    "rank-sum test": (
        "Whether measured effects on the list differ from those on all other genes (two-sided). "
        "Genes of one pathway move together, which makes p-values too small: read them as a "
        "ranking."
    ),
    "standard error": "How far the estimate would typically move if it were measured again.",
    "library size": "The number of RNA molecules counted in a cell.",
    "additive expectation": (
        "What a combination would do if each perturbation acted as it does alone and the effects "
        "simply added up."
    ),
    "interaction": (
        "How far a pair's predicted effect on all genes is from the sum of its singles' effects."
    ),
    "90% interval": (
        "The model holds it for 90% likely that the value is inside; it knows of what the data "
        "leave open, not of what the model gets wrong."
    ),
    "interaction scores": (
        "The effect of a pair is fitted as a weighted sum of its two single effects. Magnitude: "
        "how much of the singles the pair has in all, 1.41 for a sum, more for synergy, less for "
        "suppression. Model fit: how well any weighted sum explains the pair. Similarity: how "
        "alike the pair is to its singles. Equality of contribution: 1 if both singles are equally "
        "like the pair. Dominance: how much more one counts than the other, 0 for a sum."
    ),
    "digest": (
        "A fingerprint of the checkpoint's contents: the same digest means exactly the same model."
    ),
    "screen": (
        "An experiment in which many perturbations are made at once, each in cells of its own, and "
        "the RNA of every cell is counted (Perturb-seq)."
    ),
    "checkpoint": (
        "A trained model in a folder: its settings and weights, and the tables that these pages "
        "show. The counts that it was trained on are not in it."
    ),
    "bundle": "A checkpoint's folder as one zip file, to send to somebody or to upload.",
    "IWELBO": (
        "How well the model foretells whole cells that it never saw: a lower bound of their "
        "log-likelihood, per cell and in nats (importance-weighted ELBO). Higher is better; only "
        "differences mean something, and only on one screen and split."
    ),
    "shift": (
        "What a perturbation adds to a cell's position along the latent dimensions that its mask "
        "opens; in units where unperturbed cells spread by about 1."
    ),
    "decoder": (
        "The part of the model that turns a cell's latent position into expected expression."
    ),
    "SAMS-VAE": (
        "The model behind these pages: the sparse additive mechanism shift variational "
        "autoencoder. Each perturbation shifts a few latent dimensions, and shifts add up."
    ),
    "cosine": (
        "How alike the directions of two shifts are in latent space: 1 for the same direction, 0 "
        "for nothing in common, -1 for opposite ones. How long the shifts are does not count."
    ),
    "enrichment of cells": (
        "A category's share of the chosen cells over its share of all cells shown: 2 is twice as "
        "frequent as expected. Tested by Fisher's exact test."
    ),
    "basal check": (
        "If the basal state holds nothing of the perturbation, nobody can guess the perturbation "
        "from it. A classifier tries, on cells that it has not seen; its accuracy is held against "
        "guessing, and against the same classifier with the cells' labels shuffled."
    ),
    "UMAP": (
        "A map that places similar points near one another; distances between far-apart groups "
        "mean little."
    ),
}

FIGURES: dict[str, str] = {
    "iwelbo": (
        "Log-likelihood of held-out cells per cell, bounded from below (importance-weighted, in "
        "nats): how well the model foretells whole cells it never saw. Only differences mean "
        "something, and only on one screen and split."
    ),
    "mask_f1": GLOSSARY["F1"],
    "mask_precision": "Share of the entries that the model opens that are truly open.",
    "mask_recall": "Share of the truly open entries that the model opens.",
    "mask_mcc": (
        "Mean correlation of the model's latent dimensions with the true ones they are matched to."
    ),
    "mask_ece": (
        "How far inclusion probabilities are from the share of entries that are real, on average "
        "over entries (expected calibration error); 0 if of the entries at 0.9 just 90% are real. "
        "Most entries are closed, and make up most of it."
    ),
    "seed_agreement": (
        "Mask entries that two seeds both open as a share of those that either opens (Jaccard "
        "index), after matching their latent dimensions; averaged over pairs of seeds."
    ),
    "mask_share_open": "Share of mask entries that the model opens; a sparse mask has few.",
    "pathway_accuracy": (
        "How often a perturbation's known pathway can be told from its mask alone, by logistic "
        "regression on perturbations left out. Beside it: guessing the largest pathway, the same "
        "with pathways shuffled, and the same from the data's own effects."
    ),
    "pathway_accuracy_forest": "The same, told by a random forest.",
    "pearson": (
        "Correlation of predicted with measured average treatment effects, over all conditions "
        "and genes; effects are differences of mean log2 counts per 10,000."
    ),
    "pearson_mean": (
        "The same with effects as differences of mean raw counts, which strongly expressed genes "
        "dominate."
    ),
    "pearson_change": "Correlation within each condition over genes, averaged over conditions.",
    "r2": "Share of the measured effects' variance that is predicted; below 0 is worse than none.",
    "rmse": "Typical error of a predicted effect, in log2 units.",
    "pearson_change_top20": GLOSSARY["top 20"],
    "pearson_change_top1000": "The same over the 1,000 most changed genes.",
    "rmse_top20": "Typical error over each condition's 20 most changed genes, in log2 units.",
    "rmse_top1000": "Typical error over each condition's 1,000 most changed genes, in log2 units.",
    "e_distance": (
        "How far the cloud of predicted cells lies from the cloud of measured ones, in principal "
        "components of the data; 0 is the same cloud."
    ),
    "retrieval_rank": (
        "Where the right condition comes when all are ranked by likeness to the prediction: 0 is "
        "first, 0.5 is chance."
    ),
    "de_overlap": "Share of the genes called changed in the data that the prediction changes most.",
    "de_direction": "Share of the genes called changed in the data that move the predicted way.",
    "coverage_90": (
        "Share of measured effects inside the model's 90% interval; an honest model has 0.9."
    ),
    "share_p_below_0.05": (
        "Share of measured effects that the model holds for surprising at 5%; an honest one has "
        "0.05."
    ),
    "seconds": "How long training took.",
}
"""What each figure of an evaluation says."""
