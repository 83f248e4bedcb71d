"""Perturbations x latent dimensions, grouped by pathway."""

from __future__ import annotations

from sams_core import explorer

run = explorer.current_run()
explorer.page_header("Masks", "Which latent dimensions does each perturbation shift?")
