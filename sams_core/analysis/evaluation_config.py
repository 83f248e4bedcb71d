"""Settings of an evaluation; reading them takes no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EvaluationConfig(BaseModel):
    """Settings of an evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iwelbo_particles: int = Field(
        100, ge=1, le=100_000, description="Particles of the importance-weighted bound (IWELBO)."
    )
    ate_particles: int = Field(
        2500, ge=2, description="Simulated cells a condition for the model's effects."
    )
    replicates: int = Field(
        79,
        ge=39,
        description="Replicates of the screen for the predictive check; 39, 79, 119, ... give a "
        "right model a p-value under 0.05 exactly 5% of the time.",
    )
    pathways: str | None = Field(
        None,
        description="GMT file of gene sets, for mask pathway accuracy; a simulated screen has its "
        "own pathways.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything random.")
