"""Python that makes the figures of the start page again."""

from __future__ import annotations

from collections.abc import Sequence

from sams_core.explorer.card import BASELINES
from sams_core.figures.quality import Score


def quality_code(scores: Sequence[Score], score: str) -> str:
    """Write the bars' of a score of the model and its baselines."""
    lines = [
        f'    Score({each.label!r}, (baselines.get("{name}") or {{}}).get("{score}"), False),'
        for name, each in zip(reversed(BASELINES), scores[1:], strict=True)
    ]
    ceiling = score.replace("pearson", "ceiling")
    return "\n".join(
        [
            "import json",
            "",
            "from sams_core.figures.quality import Score, quality_bars",
            "",
            'metrics = json.loads((folder / "explorer" / "metrics.json").read_text())',
            'quality = metrics["heldout_ate"]',
            'baselines = quality.get("baselines") or {}',
            "scores = [",
            f'    Score({scores[0].label!r}, quality.get("{score}"), True),',
            *lines,
            "]",
            f'fig = quality_bars(scores, quality.get("{ceiling}"))',
        ]
    )


TRAINING_CODE = """
from sams_core.figures.training import training_curves
from sams_core.record import read_history

fig = training_curves(read_history(folder))
"""
"""Makes the training curves."""
