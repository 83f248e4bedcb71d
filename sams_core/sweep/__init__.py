"""Sweeps: families x inference x seeds x splits, trained and evaluated on Dask, resumable.

A sweep's folder::

    sweep.json     the plan: every run's name and settings
    screen.h5ad    the screen, where the sweep simulates it
    runs/NAME/     a checkpoint, its evaluation.json and, with other seeds, its stability.h5ad
    status.json    how each run ended
    results.csv    every figure of every finished run, one a row

The folder is all that the client and the workers share beside the files that the configuration
names, so a cluster's workers must see both under the same paths.
"""

from __future__ import annotations
