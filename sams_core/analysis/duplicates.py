"""The technical duplicate: what the data themselves predict of the data.

A condition seen in training is predicted by its training cells, and one never seen by a random half
of its test cells, each time judged on cells that the prediction has not used. It is a ceiling for
methods that copy a measurement, not a bound: the duplicate carries the noise of a finite number of
cells, which a model averages over conditions, and half the test cells carry more noise than
training cells do. Control cells are halved as well, since a control common to both sides would make
their noise agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sams_core.analysis.differential import DifferentialExpression
from sams_core.analysis.retrieval import retrieval_ranks

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class TechnicalDuplicate:
    """Two measurements of each condition from different cells, all (C, G).

    Attributes
    ----------
    measured, fdr
        Effects and adjusted p-values to judge by, in log2 units.
    predicted
        Effects from the other cells.
    retrieval_rank
        (C,) ranks of the own measurement among those of all conditions from the same cells. Ranking
        among ``measured`` would be wrong: the half that predicts an unseen condition shares control
        cells, and so noise, with the full test measurements of the others.
    """

    measured: npt.NDArray[np.float64]
    fdr: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    retrieval_rank: npt.NDArray[np.float64]


def split_halves(
    groups: npt.NDArray[np.integer], cells: npt.NDArray[np.bool_], *, seed: int = 0
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Split cells at random into halves within every group.

    Parameters
    ----------
    groups
        (n,) code of each cell's condition, the control included.
    cells
        (n,) which cells to split.
    seed
        Of the split; an odd cell goes to either half with equal chance.

    Returns
    -------
    Two (n,) masks that share no cell and together make ``cells``.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.flatnonzero(cells))
    order = chosen[np.argsort(groups[chosen], kind="stable")]
    _, start, size = np.unique(groups[order], return_index=True, return_counts=True)
    place = np.arange(order.size) - np.repeat(start, size)
    offset = np.repeat(rng.integers(2, size=size.size), size)
    first = np.zeros(cells.size, dtype=bool)
    first[order[(place + offset) % 2 == 0]] = True
    return first, cells & ~first


def technical_duplicate(
    train: DifferentialExpression,
    test: DifferentialExpression,
    first_half: DifferentialExpression,
    second_half: DifferentialExpression,
) -> TechnicalDuplicate:
    """Pair each condition's measurements: test with training cells, or the halves if unseen.

    Parameters
    ----------
    train, test
        From training and from test cells.
    first_half, second_half
        From the halves of the test cells that :func:`split_halves` makes, controls included.
    """
    seen = train.n_cells > 0
    rows = seen[:, None]
    return TechnicalDuplicate(
        measured=np.where(rows, test.effect, first_half.effect),
        fdr=np.where(rows, test.fdr, first_half.fdr),
        predicted=np.where(rows, train.effect, second_half.effect),
        retrieval_rank=np.where(
            seen,
            retrieval_ranks(test.effect, train.effect),
            retrieval_ranks(first_half.effect, second_half.effect),
        ),
    )
