"""Tiny models with the names that a loaded checkpoint's model has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd

from sams_core.perturbation_model import PerturbationModel
from tests.support.small_models import small_variant


def small_model(variant: str = "sams_vae correlated", **options: Any) -> PerturbationModel:
    """What analysis reads of a model around a module of :func:`small_variant`.

    Perturbations are ``p0`` and so on; the last one's mask is closed.
    """
    module = small_variant(variant, **options)
    model = SimpleNamespace(
        module=module,
        has_shift=module.has_shift,
        latent_names=[f"z{i}" for i in range(module.n_latent)],
        gene_names=pd.Index([f"g{i}" for i in range(module.n_genes)]),
        perturbation_names=pd.Index([f"p{i}" for i in range(module.n_perturbations)]),
        library_sizes=np.linspace(80.0, 400.0, 101),
        control="control",
    )
    return cast(PerturbationModel, model)
