"""How a screen is read: the one description shared by Python, the command line and checkpoints."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ReaderOptions(BaseModel):
    """Which columns and layers of an AnnData make a screen; JSON-able, to read it again later.

    Attributes
    ----------
    perturbation_key
        Column of ``obs`` with the perturbation labels.
    control
        Label or labels of the control cells; ``None`` recognises the usual ones and says which.
    separator
        Text between the perturbations of a combination.
    layer
        Layer with the counts; ``None`` reads ``X``.
    dose_key
        Column of ``obs`` with doses; for combinations one value each, joined by ``separator``.
    batch_key
        Column of ``obs`` with the batch.
    split_key
        Column of ``obs`` with an existing train / val / test split.
    gene_symbols
        Column of ``var`` with the gene names to use instead of the index.
    collapse_guides
        Whether labels that are all guides (``STAT1g2``, ``sgSTAT1_1``) are read as their targets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    perturbation_key: str
    control: str | tuple[str, ...] | None = None
    separator: str = "+"
    layer: str | None = None
    dose_key: str | None = None
    batch_key: str | None = None
    split_key: str | None = None
    gene_symbols: str | None = None
    collapse_guides: bool = True

    @property
    def control_labels(self) -> tuple[str, ...] | None:
        """The control labels asked for, or ``None`` to recognise them."""
        if not self.control:
            return None
        return (self.control,) if isinstance(self.control, str) else tuple(self.control)
