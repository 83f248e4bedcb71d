"""Measurements behind RESULTS.md; each module is a command of its own."""
