"""What the blocks of the masks page share: the checkpoint's mask and what the address chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import mask_groups, mask_tables, stability_tables
from sams_core.analysis.ordering import Group
from sams_core.explorer.caching import kept
from sams_core.explorer.run import Run

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.analysis.stability import Stability

LATENT_KEY = "mask_latent"
PERTURBATION_KEY = "mask_perturbation"
GROUP_KEY = "mask_only_group"
MAP_KEY = "mask_map"
ALL_GROUPS = "All groups"


@dataclass(frozen=True)
class MaskPage:
    """One visit of the masks page.

    Attributes
    ----------
    run
        The checkpoint.
    masks
        Its mask table without untrained perturbations; read-only.
    sets
        Collections of gene sets by name, the user's own last.
    with_own_sets
        Whether there are any of the user's own: what depends on them is not cached, so that
        nothing of an upload outlives its session.
    grouping, order, threshold
        As chosen above the map.
    """

    run: Run
    masks: AnnData
    sets: Mapping[str, Mapping[str, Sequence[str]]]
    with_own_sets: bool
    grouping: str
    order: str
    threshold: float

    @property
    def with_mask(self) -> bool:
        """Whether the model has a mask at all."""
        return mask_tables.has_mask(self.masks)

    @cached_property
    def stability(self) -> tuple[Stability | None, str]:
        """In how many seeds entries are open; else, if need be, why that is not known."""
        return self.run.stability()

    @cached_property
    def shares(self) -> pd.DataFrame | None:
        """(T, L) share of seeds that open each entry."""
        found = self.stability[0]
        return None if found is None else stability_tables.stability_frame(self.masks, found)

    @cached_property
    def seeds(self) -> pd.DataFrame | None:
        """(T, L) the same in words."""
        found = self.stability[0]
        return None if found is None else stability_tables.tell_entries(self.masks, found)

    @cached_property
    def arranged(self) -> tuple[list[Group], list[str]]:
        """Groups with their rows in order, and all latents in order."""
        if self.with_own_sets:
            return _arrange(self)
        return _arranged((self.run.cache_key, self.grouping, self.order), self)

    @cached_property
    def perturbations(self) -> list[str]:
        """Names in the table's order."""
        return [str(name) for name in self.masks.obs_names]

    @cached_property
    def latents(self) -> list[str]:
        """Names, those that perturbations open first, the most shared leading."""
        is_open = mask_tables.open_entries(self.masks, self.threshold)
        order = np.argsort(-is_open.sum(axis=0), kind="stable")
        return [str(name) for name in self.masks.var_names[order]]


@kept(64)
def _arranged(key: tuple[str, ...], _page: MaskPage) -> tuple[list[Group], list[str]]:
    return _arrange(_page)


def _arrange(page: MaskPage) -> tuple[list[Group], list[str]]:
    masks = page.masks
    groups = mask_tables.grouping(masks, page.grouping, page.sets)
    if mask_groups.is_too_large(*masks.shape) and len(groups) == 1:
        groups = mask_groups.groups_to_average(masks, groups)
    return mask_groups.arrange(masks, groups, page.order)


def choose(*, row: str | None = None, latent: str | None = None) -> None:
    """Have the details tell about a perturbation, a latent dimension or the entry of both.

    Only in callbacks: the widgets that show the choice must not have been drawn yet.
    """
    st.session_state[LATENT_KEY] = latent
    st.session_state[PERTURBATION_KEY] = row
