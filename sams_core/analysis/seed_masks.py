"""What a run opens, in a small file beside it, from which seeds are compared without the model."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from sams_core.analysis.masks import decoder_responses
from sams_core.analysis.stability import FORMAT, FORMAT_VERSION, MASK, mark_of
from sams_core.api import load_model
from sams_core.models import shift_moments
from sams_core.perturbation_model import PerturbationModel
from sams_core.storage import replacing


def write_mask(folder: str | Path, model: PerturbationModel | None = None) -> None:
    """Write ``mask.h5ad`` beside a checkpoint; nothing where its family has no mask.

    The table has a row for each perturbation that some training cell carries and a column for each
    latent: inclusion probability in ``X``, effect in the layer ``effect`` (basal s.d.), what
    latents do to the genes in ``varm["response"]``.

    Parameters
    ----------
    folder
        A checkpoint.
    model
        The model in it, if it was read already.

    Raises
    ------
    CheckpointError
        When the checkpoint cannot be read.
    """
    folder = Path(folder)
    model = model or load_model(folder)
    if not model.has_mask:
        return
    trained = (model.module.cells_per_perturbation > 0).cpu().numpy()
    table = ad.AnnData(
        model.mask_probabilities().to_numpy(np.float32)[trained],
        obs=pd.DataFrame(index=model.perturbation_names[trained]),
        var=pd.DataFrame(index=pd.Index(model.latent_names)),
        layers={"effect": shift_moments(model.module).effect_mean[trained].astype(np.float32)},
        varm={"response": decoder_responses(model).to_numpy(np.float32)},
        uns={"format": FORMAT[MASK], "format_version": FORMAT_VERSION[MASK], **mark_of(folder)},
    )
    with replacing(folder / MASK) as temporary:
        table.write_h5ad(temporary, compression="gzip")
