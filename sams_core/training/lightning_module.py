"""The training step and the optimiser, for Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from sams_core.models import Minibatch, PerturbationVAE
from sams_core.models.sams_vae import SAMSVAEModule
from sams_core.training.config import TrainingConfig
from sams_core.training.objective import minibatch_objective
from sams_core.training.schedule import begin_phase, bound_mask, turning_step
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

    def on_train_batch_start(self, batch: Minibatch, batch_idx: int) -> None:
        """Begin a phase of training where one is due."""
        optimiser = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimiser, torch.optim.Optimizer)
        begin_phase(self.module, self.config, self.global_step, optimiser)

    def training_step(self, batch: Minibatch, batch_idx: int) -> Tensor:
        """Loss of one minibatch; its terms are left in ``latest``."""
        step = self.global_step
        generator = step_generator(self.config.seed, step, self.device)
        terms = minibatch_objective(self.module, batch, self.config, step, generator)
        self.latest = {name: value.detach() for name, value in terms.items()}
        return terms["loss"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then keep the mask's log-odds where they belong."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        bound_mask(self.module, self.config, step)

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam; mask and embeddings have rates of their own, and all but the mask's falls at last.

        The network for E given M stands still until masks are learned, if the guide has a table of
        E beside it.
        """
        config, module = self.config, self.module
        mask = [] if module.mask_logits is None else [module.mask_logits]
        table, waiting = [], []
        if isinstance(module, SAMSVAEModule):
            table = module.embedding_table
            waiting = module.embedding_network if table else []
        if config.embedding_learning_rate == config.learning_rate:
            table = []  # as in training states of earlier versions
        apart = {id(parameter) for parameter in (*mask, *table, *waiting)}
        others = [parameter for parameter in module.parameters() if id(parameter) not in apart]

        def decay(step: int) -> float:
            left = max(1 - step / config.max_steps, 0.0)
            return min(1.0, left / config.decay_fraction) if config.decay_fraction else 1.0

        def wait(step: int) -> float:
            return 0.0 if step < turning_step(config) else decay(step)

        usual, decayed = config.learning_rate, config.weight_decay
        groups: list[tuple[list[nn.Parameter], float, float, Callable[[int], float]]] = [
            (others, usual, decayed, decay),
            (mask, config.mask_learning_rate, 0.0, lambda _: 1.0),
            (table, config.embedding_learning_rate, decayed, decay),
            (waiting, usual, decayed, wait),
        ]
        groups = [group for group in groups if group[0]]
        optimiser = torch.optim.Adam(
            [{"params": p, "lr": rate, "weight_decay": weight} for p, rate, weight, _ in groups],
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, [group[-1] for group in groups])
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(
        self, batch: Minibatch, device: torch.device, dataloader_idx: int
    ) -> Minibatch:
        """Move a minibatch to the accelerator."""
        return batch.to(device)
