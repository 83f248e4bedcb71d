"""Which mask entries runs that differ by their seed alone open again; files, without torch.

`evaluate` leaves ``mask.h5ad`` in a run's folder; from those of several seeds come their agreement
and ``stability.h5ad``, which says of each entry in how many seeds it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from sams_core.analysis.agreement import Agreement, seed_agreement
from sams_core.analysis.comparison import split_name
from sams_core.analysis.evaluation_files import MASKED_FAMILIES, weights_digest
from sams_core.errors import CheckpointError, SamsError
from sams_core.record import WEIGHTS, read_config
from sams_core.storage import replacing

if TYPE_CHECKING:
    from anndata import AnnData

MASK, STABILITY = "mask.h5ad", "stability.h5ad"
FORMAT = {MASK: "sams_core.mask", STABILITY: "sams_core.stability"}
FORMAT_VERSION = {MASK: 1, STABILITY: 2}
THRESHOLD = 0.5
"""Inclusion probability from which an entry is open."""


class SeedRun(NamedTuple):
    """One of the runs that were compared: its folder's name, its seed and digest of its weights."""

    name: str
    seed: int
    weights: str


@dataclass(frozen=True)
class Stability:
    """In how many seeds the entries of a checkpoint's mask are open.

    Attributes
    ----------
    share
        T trained perturbations x L latents in [0, 1], of the seeds that have the perturbation.
    n_seeds
        (T,) seeds that have each perturbation, this one's among them, 1 to N.
    runs
        The N runs that were compared, this one among them.
    agreement
        Mean Jaccard index of their masks over pairs; NaN for masks without open entries.
    threshold
        Inclusion probability from which an entry counted as open.
    """

    share: pd.DataFrame
    n_seeds: pd.Series
    runs: tuple[SeedRun, ...]
    agreement: float
    threshold: float

    @property
    def seeds(self) -> tuple[int, ...]:
        """(N,) seeds of the runs."""
        return tuple(run.seed for run in self.runs)


def mark_of(folder: Path) -> dict[str, str]:
    """Digests that say of which checkpoint a file beside it is."""
    return {
        "checkpoint": read_config(folder).digest,
        "weights": weights_digest(folder / WEIGHTS) or "",
    }


def same_but_seed(evaluations: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Group evaluated runs that differ in nothing but their seed, two of them at least.

    Parameters
    ----------
    evaluations
        As :func:`sams_core.analysis.evaluation_files.read_runs` gives them; those of families
        without a mask are left out. Splits that differ by their seed count as the same.
    """
    groups: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for each in evaluations:
        if each["family"] in MASKED_FAMILIES:
            key = (each["fingerprint"], split_name(each["split"]), each["model"], each["inference"])
            groups.setdefault(key, {}).setdefault(each["weights"], each)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def agreements(
    evaluations: Iterable[Mapping[str, Any]], *, mend: Callable[[Path], None] | None = None
) -> tuple[list[tuple[list[Mapping[str, Any]], Agreement]], list[str]]:
    """Compare the seeds of every group of runs that differ in nothing else.

    Parameters
    ----------
    evaluations
        Of any runs, as :func:`sams_core.analysis.evaluation_files.read_runs` gives them.
    mend
        Called with the folder of a run whose mask file is missing, damaged or stale, to write it
        again; by default such a run's group is left out.

    Returns
    -------
    The groups (:func:`same_but_seed`) with their agreement, and a sentence for each group that is
    left out.
    """
    found, problems = [], []
    for group in same_but_seed(evaluations):
        try:
            if mend is not None:
                for each in group:
                    _mended(Path(each["folder"]), mend)
            found.append((group, agreement_of(group)))
        except SamsError as error:
            problems.append(f"No agreement of {len(group)} seeds of {group[0]['model']}: {error}")
    return found, problems


def _mended(folder: Path, mend: Callable[[Path], None]) -> None:
    try:
        _read(folder, MASK, "")
    except CheckpointError:
        mend(folder)


def agreement_of(group: Sequence[Mapping[str, Any]]) -> Agreement:
    """Compare the masks of runs, from the files that `evaluate` left.

    Raises
    ------
    CheckpointError
        When a run has no such file, or it is damaged or older than the run.
    """
    masks, effects, responses = [], [], []
    for each in group:
        folder = Path(each["folder"])
        again = f"run python -m sams_core evaluate {folder}"
        table = _read(folder, MASK, again)
        names, latents, genes = table.obs_names, table.var_names, read_config(folder).genes
        try:
            masks.append(pd.DataFrame(np.asarray(table.X), names, latents))
            effects.append(pd.DataFrame(np.asarray(table.layers["effect"]), names, latents))
            responses.append(pd.DataFrame(np.asarray(table.varm["response"]), latents, genes))
        except (KeyError, ValueError):
            raise CheckpointError(f"{folder / MASK} is damaged: {again} again.") from None
    return seed_agreement(masks, effects, responses, THRESHOLD)


def write_stability(group: Sequence[Mapping[str, Any]], agreement: Agreement) -> None:
    """Write ``stability.h5ad`` beside each run of a group, each in its own latents.

    Parameters
    ----------
    group
        Evaluations of runs that differ by their seed (:func:`same_but_seed`).
    agreement
        Of their masks, in the same order.
    """
    from anndata import AnnData

    for number, each in enumerate(group):
        folder = Path(each["folder"])
        share = agreement.stability(number)
        table = AnnData(
            share.to_numpy(np.float32),
            obs=pd.DataFrame({"n_seeds": agreement.n_seeds(number)}),
            var=pd.DataFrame(index=share.columns),
            uns={
                "format": FORMAT[STABILITY],
                "format_version": FORMAT_VERSION[STABILITY],
                **mark_of(folder),
                "threshold": agreement.threshold,
                "runs": np.array([other["run"] for other in group], dtype=object),
                "seeds": np.array([other["seed"] for other in group]),
                "others": np.array([other["weights"] for other in group], dtype=object),
                "jaccard": agreement.jaccard,
            },
        )
        with replacing(folder / STABILITY) as temporary:
            table.write_h5ad(temporary, compression="gzip")


def read_stability(folder: str | Path) -> Stability | None:
    """Read ``stability.h5ad``; None where there is none.

    Raises
    ------
    CheckpointError
        When it is damaged, of another version, or of another checkpoint than the one beside it.
    """
    folder = Path(folder)
    if not (folder / STABILITY).is_file():
        return None
    table = _read(folder, STABILITY, "run python -m sams_core compare --stability on its seeds")
    try:
        described = zip(*(table.uns[name] for name in ("runs", "seeds", "others")), strict=True)
        runs = tuple(SeedRun(str(name), int(seed), str(own)) for name, seed, own in described)
        pairs = np.asarray(table.uns["jaccard"])[np.triu_indices(len(runs), 1)]
        known = pairs[np.isfinite(pairs)]
        return Stability(
            pd.DataFrame(np.asarray(table.X), table.obs_names, table.var_names),
            table.obs["n_seeds"].astype(int),
            runs,
            float(known.mean()) if len(known) else float("nan"),
            float(table.uns["threshold"]),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise CheckpointError(f"{folder / STABILITY} is damaged: write it again.") from None


def trained_again(folder: str | Path, stability: Stability) -> tuple[int, ...]:
    """Which seeds were trained again since a checkpoint's entries were compared with theirs.

    Parameters
    ----------
    folder
        The checkpoint; other seeds are looked for beside it, under the names that they had.
    stability
        From :func:`read_stability`.

    Returns
    -------
    Seeds whose weights are none of those compared; those that are not there, or cannot be read,
    are not among them.
    """
    compared = {run.weights for run in stability.runs}
    seeds = []
    for run in stability.runs:
        try:
            found = weights_digest(Path(folder).resolve().parent / run.name / WEIGHTS)
        except CheckpointError:
            continue
        if found not in compared:
            seeds.append(run.seed)
    return tuple(seeds)


def _read(folder: Path, name: str, again: str) -> AnnData:
    from anndata import read_h5ad

    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"{folder} has no file {name}: {again}.")
    try:
        table = read_h5ad(path)
    except Exception:  # anything may come out of a damaged HDF5 file
        raise CheckpointError(f"{path} is damaged: {again} again.") from None
    stated = {"format": FORMAT[name], "format_version": FORMAT_VERSION[name], **mark_of(folder)}
    version = FORMAT_VERSION[name]
    if any(table.uns.get(field) != stated[field] for field in ("format", "format_version")):
        raise CheckpointError(f"{path} is not a file of version {version}: {again}.")
    if any(table.uns.get(field) != value for field, value in stated.items()):
        raise CheckpointError(f"{path} is older than the checkpoint beside it: {again} again.")
    return table
