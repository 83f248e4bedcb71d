from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

from sams_core.analysis.mask_comparison import MIRRORED, in_latents_of, match_tables
from sams_core.analysis.mask_tables import NO_PARTNER

GENES = [f"g{number}" for number in range(7)]


def table(effect: np.ndarray, names: list[str], response: np.ndarray | None = None) -> ad.AnnData:
    masks = ad.AnnData(
        (effect != 0).astype(np.float32),
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=[f"z{number}" for number in range(effect.shape[1])]),
        layers={"effect": effect.astype(np.float32)},
    )
    if response is not None:
        masks.varm["response"] = response
    return masks


def test_a_permuted_and_mirrored_mask_comes_back_in_this_ones_latents() -> None:
    rng = np.random.default_rng(0)
    effect = rng.normal(size=(8, 4)) * (rng.random((8, 4)) < 0.5)
    response = rng.normal(size=(4, 7))
    order, sign = np.array([2, 0, 3, 1]), np.array([1, -1, -1, 1])
    names = [f"P{number}" for number in range(8)]
    first = table(effect, names, response)
    other = table((effect * sign)[:6, order], names[:6], (response.T * sign).T[order])
    match = match_tables(first, other, GENES, GENES, 0.5)
    shown = ["z3", "z1"]
    back = in_latents_of(match, first, other, shown, "effect")
    np.testing.assert_allclose(back.iloc[:6], effect[:6][:, [3, 1]], rtol=1e-6)
    assert np.isnan(back.iloc[6:]).all(axis=None)
    at = {latent: int(np.flatnonzero(order == int(latent[1]))[0]) for latent in shown}
    assert list(back.columns) == [f"z{at['z3']}", f"{MIRRORED}z{at['z1']}"]
    open_entries = in_latents_of(match, first, other, shown, None)
    np.testing.assert_array_equal(open_entries.iloc[:6], effect[:6][:, [3, 1]] != 0)


def test_latents_without_a_partner_are_blank_and_told_apart() -> None:
    names = ["A", "B", "C"]
    first = table(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), names)
    second = table(np.array([[2.0], [0], [0]]), names)
    back = in_latents_of(
        match_tables(first, second, GENES, GENES, 0.5), first, second, ["z0", "z1", "z2"], "effect"
    )
    assert back["z0"].tolist() == [2, 0, 0]
    assert back.columns.is_unique
    assert all(str(name).startswith(NO_PARTNER) for name in back.columns[1:])
    assert np.isnan(back.iloc[:, 1:]).all(axis=None)
