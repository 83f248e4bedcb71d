"""Gene sets behind one latent dimension: of the perturbations that open it, of genes it moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sams_core.analysis.enrichment import Enrichment, enrich
from sams_core.analysis.mask_tables import has_mask
from sams_core.data.labels import guide_targets

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class LatentEnrichment:
    """Tests of one latent dimension, each with false discovery rates of its own.

    Attributes
    ----------
    perturbations
        Of the target genes of the perturbations that open it, against those of all perturbations
        trained on; None where no perturbation, or every one, does.
    raised, lowered
        Of the genes that its typical step raises and lowers, against the genes of the model.
    """

    perturbations: Enrichment | None
    raised: Enrichment
    lowered: Enrichment

    @property
    def best(self) -> tuple[str, Enrichment] | None:
        """What was tested and the test with the smallest false discovery rate, if it finds any."""
        tests = {
            "perturbations": self.perturbations,
            "genes raised": self.raised,
            "genes lowered": self.lowered,
        }
        found = [(what, test) for what, test in tests.items() if test and len(test.enriched)]
        return min(found, key=lambda each: each[1].enriched["fdr"].iloc[0], default=None)


def latent_enrichment(
    masks: AnnData,
    openers: pd.DataFrame,
    up: pd.DataFrame,
    down: pd.DataFrame,
    genes: Sequence[str],
    sets: Mapping[str, Mapping[str, Sequence[str]]],
) -> LatentEnrichment:
    """Test the perturbations and the genes of a latent dimension.

    Parameters
    ----------
    masks
        The checkpoint's mask table, of trained perturbations.
    openers
        From `sams_core.analysis.latent_dimension.openers`.
    up, down
        From `sams_core.analysis.latent_dimension.top_genes`.
    genes
        The model's genes.
    sets
        Collections of gene sets by name.
    """
    kind = "genes of the model"
    tested = None
    if has_mask(masks) and len(openers):
        names = [str(name) for name in masks.obs_names]
        targets = guide_targets(names)
        tested = enrich(
            [targets.get(name, name) for name in openers.index],
            sets,
            [targets.get(name, name) for name in names],
            kind="perturbed genes of this screen",
        )
    return LatentEnrichment(
        tested,
        enrich(up.index, sets, genes, kind=kind),
        enrich(down.index, sets, genes, kind=kind),
    )


def tell_cells(cells: AnnData, latent: int, openers: Sequence[str], control: str) -> str:
    """Say where cells lie along a latent dimension, with its openers and without.

    Parameters
    ----------
    cells
        The checkpoint's table of cells.
    latent
        Number of the dimension.
    openers
        Perturbations that open it.
    control
        Label of control cells.
    """
    position = np.asarray(cells.obsm["z"])[:, latent]
    conditions = cells.obs["condition"].astype(str)
    parts = []
    for what, chosen in (
        ("cells with one of its perturbations alone", conditions.isin(list(openers))),
        ("control cells", conditions == control),
    ):
        here = position[chosen.to_numpy()]
        if len(here):
            mean = round(float(here.mean()), 1) + 0.0  # never -0.0
            parts.append(f"{mean:+.1f} ± {here.std():.1f} in {len(here):,} {what}")
    if not parts:
        return "Neither control cells nor cells with one of its perturbations are shown."
    return f"Mean position along it: {', '.join(parts)} (± is the spread of cells)."
