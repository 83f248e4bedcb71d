"""Which cells train, validate and test: seeded splits of a screen, stratified by condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sams_core.data.annotations import SPLITS, UNUSED
from sams_core.data.screen import Screen
from sams_core.errors import ConfigError

Split = npt.NDArray[np.str_]
Groups = list[tuple[int, ...]]
Kind = Literal["random", "ood_combinations", "data_efficiency"]
_READ_BY: dict[str, tuple[Kind, ...]] = {
    "holdout": ("ood_combinations",),
    "fraction": ("ood_combinations", "data_efficiency"),
}


class SplitConfig(BaseModel):
    """Recipe of a split; stored in the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind = Field(
        "random",
        description="random (cells of every condition), ood_combinations (whole combinations are "
        "held out) or data_efficiency (fewer cells of combinations train).",
    )
    test: float = Field(
        0.2, ge=0, lt=1, description="Share of each condition's cells that are held out."
    )
    val: float = Field(
        0.2, ge=0, lt=1, description="Share of the others that decide when the model was best."
    )
    holdout: float = Field(
        0.5,
        gt=0,
        le=1,
        description="ood_combinations: share of the combinations, at least one, all of whose cells "
        "are held out.",
    )
    fraction: float = Field(
        1.0,
        ge=0,
        le=1,
        description="ood_combinations: share of the other combinations that train. "
        "data_efficiency: share of the combinations' training and validation cells that are kept.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the split.")

    @field_validator("test")
    @classmethod
    def _control_is_needed(cls, test: float, info: ValidationInfo) -> float:
        if test == 0 and info.data.get("kind", "random") != "random":
            raise PydanticCustomError(
                "no_test_cells",
                "held-out combinations are compared with held-out control cells, so it must be "
                "above 0",
            )
        return test

    @field_validator("holdout", "fraction")
    @classmethod
    def _is_read(cls, share: float, info: ValidationInfo) -> float:
        name, kind = str(info.field_name), info.data.get("kind")
        if kind and kind not in _READ_BY[name] and share != cls.model_fields[name].default:
            raise PydanticCustomError(
                "not_read",
                "a split of kind '{kind}' does not read it, so leave it out or choose the kind "
                "{others}",
                {"kind": kind, "others": " or ".join(f"'{other}'" for other in _READ_BY[name])},
            )
        return share


def make_split(screen: Screen, config: SplitConfig) -> Split:
    """Split a screen by a recipe; the last two are those of SAMS-VAE's experiments on pairs.

    * ``random``: :func:`random_split`.
    * ``ood_combinations``: ``holdout`` of the combinations are test cells only. Of the others
      ``fraction`` are split as ``random``, and the rest is unused. The control and the singles are
      split as ``random``. Doses of one set of perturbations go together. Combinations whose
      perturbations were all measured alone are held out first, so that an additive prediction
      exists; others are only if those do not suffice. The held-out set depends on the screen,
      ``seed`` and ``holdout``, and grows with ``holdout``; cells that train at one ``fraction``
      train at every larger one.
    * ``data_efficiency``: ``random``, after which of every combination ``fraction`` of the training
      and of the validation cells are kept, and more of the same as it grows. Test cells are the
      same at every ``fraction``.

    Parameters
    ----------
    screen
        The screen.
    config
        The recipe.

    Returns
    -------
    numpy.ndarray
        ``"train"``, ``"val"``, ``"test"`` or ``"unused"`` for every cell, shape (n,). With the
        last two kinds a control of two cells or more has a test cell.

    Raises
    ------
    ConfigError
        If the kind needs combinations and the screen has none.
    """
    split = random_split(screen, test=config.test, val=config.val, seed=config.seed)
    if config.kind == "random":
        return split
    combination, members = _combinations(screen)
    if not members:
        raise ConfigError(
            f"The screen has no combinations of perturbations, which the split {config.kind!r} is "
            "about: use the split 'random'."
        )
    rng = np.random.default_rng([config.seed, 1])
    if config.kind == "data_efficiency":
        _thin_combinations(split, screen, combination, config.fraction, rng)
    else:
        held_out, training = _choose_combinations(screen, members, config, rng)
        split[(combination >= 0) & ~np.isin(combination, training)] = UNUSED
        split[np.isin(combination, held_out)] = "test"
    _hold_out_a_control(split, screen, rng)
    return split


def random_split(screen: Screen, *, test: float = 0.2, val: float = 0.2, seed: int = 0) -> Split:
    """Split cells into training, validation and test cells, within every condition.

    Parameters
    ----------
    screen
        The screen.
    test
        Share of cells held out for testing, in [0, 1).
    val
        Share of the remaining cells held out for validation, in [0, 1).
    seed
        Seed; the same screen and seed give the same split.

    Returns
    -------
    numpy.ndarray
        ``"train"``, ``"val"`` or ``"test"`` for every cell, shape (n,). Shares are met within a
        cell in every condition and on average over conditions, and every condition keeps a
        training cell.

    Raises
    ------
    ConfigError
        If a share is outside [0, 1).
    """
    for name, share in (("test", test), ("val", val)):
        if not 0 <= share < 1:
            raise ConfigError(f"The share {name} is {share}; it must be at least 0 and below 1.")
    rng = np.random.default_rng(seed)
    split = np.full(screen.n_cells, "train", dtype=f"<U{max(map(len, SPLITS))}")
    for cells in _grouped(np.asarray(screen.conditions.codes)):
        shuffled = rng.permutation(cells)
        n_test = _share(cells.size, test, rng)
        n_val = _share(cells.size - n_test, val, rng)
        split[shuffled[:n_test]] = "test"
        split[shuffled[n_test : n_test + n_val]] = "val"
    return split


def check_split(split: np.ndarray, n_cells: int) -> np.ndarray:
    """Refuse what is not one of :data:`sams_core.data.annotations.SPLITS` for every cell.

    Returns
    -------
    numpy.ndarray
        The same names, as objects of shape (n,).

    Raises
    ------
    ConfigError
        If there are too few or too many, or another name.
    """
    names = split.astype(object)
    if names.shape != (n_cells,):
        raise ConfigError(
            f"split has shape {names.shape}, but the screen has {n_cells} cells: give one name a "
            "cell."
        )
    unknown = [name for name in pd.unique(names) if name not in SPLITS]
    if unknown:
        raise ConfigError(f"split holds {unknown[0]!r}: use 'train', 'val', 'test' and 'unused'.")
    return names


def _combinations(screen: Screen) -> tuple[npt.NDArray[np.intp], Groups]:
    """Combination of every cell, whatever its doses (n,), -1 for others; members of each."""
    codes = np.asarray(screen.conditions.codes)
    _, first, condition = np.unique(codes, return_index=True, return_inverse=True)
    sets = [tuple(sorted(row.indices.tolist())) for row in screen.dosages[first]]
    members = sorted({row for row in sets if len(row) > 1})
    number = {row: i for i, row in enumerate(members)}
    return np.array([number.get(row, -1) for row in sets])[condition], members


def _choose_combinations(
    screen: Screen, members: Groups, config: SplitConfig, rng: np.random.Generator
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Combinations that are held out, and those that train."""
    alone = np.diff(screen.dosages.indptr) == 1
    measured = set(screen.dosages[alone].indices.tolist())
    not_additive = np.array([not measured.issuperset(row) for row in members])
    order = rng.permutation(len(members))
    order = order[np.argsort(not_additive[order], kind="stable")]
    n_held_out = max(1, round(config.holdout * len(members)))
    others = rng.permutation(order[n_held_out:])
    return order[:n_held_out], others[: round(config.fraction * others.size)]


def _thin_combinations(
    split: Split,
    screen: Screen,
    combination: npt.NDArray[np.intp],
    fraction: float,
    rng: np.random.Generator,
) -> None:
    """Leave a share of every combination's training and validation cells, the rest unused."""
    strata = np.asarray(screen.conditions.codes) * 2 + (split == "val")
    combined = np.flatnonzero((combination >= 0) & (split != "test"))
    for stratum in _grouped(strata[combined]):
        shuffled = combined[rng.permutation(stratum)]
        rank = np.arange(shuffled.size) + rng.random()
        split[shuffled[rank >= fraction * shuffled.size]] = UNUSED


def _hold_out_a_control(split: Split, screen: Screen, rng: np.random.Generator) -> None:
    """Make a cell of the control a test cell where chance made none, unless it is the only one."""
    control = np.flatnonzero(screen.is_control)
    if control.size > 1 and not (split[control] == "test").any():
        validating = control[split[control] == "val"]
        split[rng.choice(validating if validating.size else control)] = "test"


def _grouped(codes: np.ndarray) -> Iterator[npt.NDArray[np.intp]]:
    """Positions of equal codes, by code."""
    order = np.argsort(codes, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _share(n: int, share: float, rng: np.random.Generator) -> int:
    """Round ``n * share`` up or down at random, without bias, and leave at least one."""
    return max(0, min(n - 1, int(np.floor(n * share + rng.random()))))
