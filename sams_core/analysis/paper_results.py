"""What the paper reports, as data to hold one's own numbers against."""

from __future__ import annotations

import pandas as pd

SOURCE = "Bereket & Karaletsos 2023; paper, replogle-filtered, 5 seeds"
"""Where the rows of :data:`PAPER` come from."""

SOURCE_NORMAN = "Bereket & Karaletsos 2023; paper, norman, pairs held out"
"""Where the rows of :data:`PAPER_NORMAN` come from."""

PAPER = pd.DataFrame(
    [
        ("conditional_vae", None, -1766.10, 0.18, None, None, 0.765),
        ("svae_plus", None, -1761.42, 0.06, 0.78, 0.04, 0.605),
        ("cpa_vae", "mean_field", -1760.14, 0.20, None, None, 0.523),
        ("cpa_vae", "correlated_z", -1756.57, 0.14, None, None, 0.571),
        ("sams_vae", "mean_field", -1757.72, 0.14, 0.68, 0.09, 0.302),
        ("sams_vae", "correlated_e", -1758.08, 0.07, 0.71, 0.04, 0.319),
        ("sams_vae", "correlated_z", -1756.40, 0.06, 0.87, 0.02, 0.718),
        ("sams_vae", "correlated", -1756.27, 0.10, 0.89, 0.03, 0.765),
    ],
    columns=[
        "family", "inference", "iwelbo", "iwelbo_sd", "pathway_accuracy", "pathway_accuracy_sd",
        "pearson",
    ],
)  # fmt: skip
"""The paper's table: test IWELBO in nats a cell (K = 100), mask pathway accuracy, ATE Pearson.

Rows in the paper's order; NaN where the paper gives nothing.
"""

ORDER: tuple[tuple[str, str | None], ...] = tuple(
    (str(family), None if inference is None else str(inference))
    for family, inference in zip(PAPER["family"], PAPER["inference"], strict=True)
)
"""Family and inference of the rows, in the paper's order."""

_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
_NORMAN: dict[tuple[str, str | None], tuple[tuple[float, ...], tuple[float, ...]]] = {
    ("sams_vae", "correlated"): (
        (0.0, 4.41, 6.38, 7.59, 11.19),
        (0.682, 0.720, 0.736, 0.733, 0.775),
    ),
    ("cpa_vae", None): (
        (0.40, 3.91, 5.70, 7.24, 10.84),
        (0.643, 0.703, 0.719, 0.723, 0.779),
    ),
    ("conditional_vae", None): (
        (-2.43, 0.96, 3.41, 4.91, 9.29),
        (0.689, 0.707, 0.717, 0.722, 0.769),
    ),
    ("svae_plus", None): (
        (-3.55, -1.36, 0.07, 1.20, 8.35),
        (-0.03, -0.02, -0.08, 0.01, 0.764),
    ),
}

PAPER_NORMAN = pd.DataFrame(
    [
        (family, inference, fraction, iwelbo, pearson)
        for (family, inference), (iwelbos, pearsons) in _NORMAN.items()
        for fraction, iwelbo, pearson in zip(_FRACTIONS, iwelbos, pearsons, strict=True)
    ],
    columns=["family", "inference", "fraction", "iwelbo_relative", "pearson"],
)
"""The paper's Norman results by fraction of the combinations in training.

``inference`` is None where no guide is stated. ``iwelbo_relative`` is the test IWELBO less that of
SAMS-VAE (correlated) at fraction 0, in nats a cell.
"""
