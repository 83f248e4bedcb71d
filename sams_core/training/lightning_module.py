"""The training step and the optimiser, for Lightning."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.training.config import TrainingConfig
from sams_core.training.objective import mask_penalty, minibatch_objective
from sams_core.training.state import step_generator


class TrainingModule(pl.LightningModule):
    """Trains a model on minibatches with the weighted ELBO.

    Parameters
    ----------
    module
        The model.
    config
        Settings of the objective and the optimiser.
    """

    def __init__(self, module: PerturbationVAE, config: TrainingConfig) -> None:
        super().__init__()
        self.module, self.config = module, config
        self.latest: dict[str, Tensor] = {}

    def training_step(self, batch: Minibatch, batch_idx: int) -> Tensor:
        """Loss of one minibatch; its terms are left in ``latest``."""
        generator = step_generator(self.config.seed, self.global_step, self.device)
        penalty = mask_penalty(self.config, self.global_step)
        terms = minibatch_objective(self.module, batch, self.config, penalty, generator)
        self.latest = {name: value.detach() for name, value in terms.items()}
        return terms["loss"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then keep the mask's log-odds where they still have a gradient."""
        super().optimizer_step(*args, **kwargs)
        bound, mask = self.config.max_mask_logit, self.module.mask_logits
        if mask is not None:
            with torch.no_grad():
                mask.clamp_(-bound, bound)

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam, with a rate of its own for the mask and a linear decay of the others at the end."""
        config = self.config
        mask = self.module.mask_logits
        others = [p for p in self.module.parameters() if p is not mask]
        groups: list[dict[str, Any]] = [{"params": others, "weight_decay": config.weight_decay}]
        if mask is not None:
            groups.append({"params": [mask], "lr": config.mask_learning_rate})
        optimiser = torch.optim.Adam(groups, lr=config.learning_rate)

        def decay(step: int) -> float:
            left = 1 - step / config.max_steps
            return (
                min(1.0, max(left, 0.0) / config.decay_fraction) if config.decay_fraction else 1.0
            )

        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, [decay, lambda step: 1.0][: len(groups)]
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(
        self, batch: Minibatch, device: torch.device, dataloader_idx: int
    ) -> Minibatch:
        """Move a minibatch to the accelerator."""
        return batch.to(device)
