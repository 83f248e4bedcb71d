"""Whether a screen is one that a model can read."""

from __future__ import annotations

from sams_core.data.screen import Screen
from sams_core.errors import CheckpointError, ConfigError, SamsError
from sams_core.record import CheckpointConfig


def require_training_screen(record: CheckpointConfig, screen: Screen) -> None:
    """Refuse any screen but the one that a model was trained on.

    Raises
    ------
    CheckpointError
        When the fingerprint or the batches say that it is another one.
    """
    if screen.fingerprint() != record.data.fingerprint:
        raise CheckpointError(
            f"The screen ({screen.n_cells} cells, {screen.n_genes} genes) is not the one that "
            f"this checkpoint was trained on ({record.data.file}, "
            f"{record.data.n_cells} cells, {len(record.genes)} genes): give that "
            "file, read with the same options."
        )
    _require_batches(record, screen, CheckpointError)


def require_same_names(record: CheckpointConfig, screen: Screen) -> None:
    """Refuse cells of other genes, perturbations or batches than a model's, or in another order.

    Raises
    ------
    ConfigError
        Saying which of them differ.
    """
    for what, found, expected in (
        ("genes", screen.gene_names, record.genes),
        ("perturbations", screen.perturbation_names, record.perturbations),
    ):
        if list(found) != expected:
            raise ConfigError(
                f"The screen's {what} are not the model's {len(expected)} {what} in their order: "
                "give a screen of the same, such as a subset of its cells."
            )
    _require_batches(record, screen, ConfigError)


def _require_batches(record: CheckpointConfig, screen: Screen, kind: type[SamsError]) -> None:
    found = [] if screen.batch is None else list(screen.batch.categories)
    expected = record.batches or []
    if len(expected) > 1 and found != expected:
        raise kind(
            f"The screen has {len(found)} batches that are not the {len(expected)} that the model "
            "was trained with: read it with the same batch_key."
        )
