"""Sparse effects on latent dimensions, and names: what the simulators share."""

from __future__ import annotations

import numpy as np

RELATIVE_SD = 0.1
"""Standard deviation of an effect's size over its mean: |N(5, 0.5)| at the papers' mean of 5."""


def sparse_effects(
    shape: tuple[int, int], density: float, size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Masks and embeddings, both of ``shape`` (rows, L).

    Entries are open with probability ``density`` and at least one of every row is; effects have
    random signs and sizes about ``size``.
    """
    mask = rng.random(shape) < density
    sign = rng.choice([-1.0, 1.0], size=shape)
    mask = at_least_one(mask, rng.integers(shape[1], size=shape[0]))
    return mask, sign * sizes(shape, size, rng)


def at_least_one(mask: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """The mask, with the entry ``fallback`` (rows,) open in rows where none is."""
    opened = mask.copy()
    none_open = ~mask.any(axis=1)
    opened[none_open, fallback[none_open]] = True
    return opened


def sizes(shape: tuple[int, int], mean: float, rng: np.random.Generator) -> np.ndarray:
    """Sizes of effects, not negative."""
    return np.abs(rng.normal(mean, RELATIVE_SD * mean, size=shape))


def numbered(prefix: str, count: int) -> np.ndarray:
    """``P001``, ``P002``, ...: names of one width."""
    width = max(3, len(str(count)))
    return np.array([f"{prefix}{i:0{width}d}" for i in range(1, count + 1)])
