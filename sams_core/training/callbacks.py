"""What happens beside the training steps: validation, keeping, curves, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from sams_core.errors import TrainingError
from sams_core.models import Minibatch, PerturbationVAE
from sams_core.record import HISTORY, HISTORY_COLUMNS
from sams_core.storage import replacing
from sams_core.training.lightning_module import TrainingModule
from sams_core.training.processes import mean_over_processes
from sams_core.training.schedule import settled_step
from sams_core.training.validation import validation_terms

TERMS = ("elbo", "log_likelihood", "kl_z_basal", "kl_mask", "kl_embedding")
CHECK_EVERY = 10


class Keeper(pl.Callback):
    """Validates every so many steps, keeps the best weights and writes the resumable state.

    Weights compete on the validation objective once it does not change any more, for SAMS-VAE in
    its last phase; until then the latest are kept. Without validation cells the last weights are.

    Parameters
    ----------
    batches
        Validation cells; may be empty.
    save_weights
        Called with the weights to keep.
    folder
        Where ``history.csv`` and the training state go; None to write nothing.
    state_path
        File of the resumable state.
    history
        Rows of an interrupted run, to go on from.
    """

    def __init__(
        self,
        batches: Sequence[Minibatch],
        save_weights: Callable[[dict[str, Tensor]], None],
        folder: Path | None,
        state_path: Path | None,
        history: pd.DataFrame | None,
    ) -> None:
        self.batches, self.save_weights = batches, save_weights
        self.folder, self.state_path = folder, state_path
        self.rows: list[dict[str, Any]] = (
            []
            if history is None
            else [{str(k): v for k, v in row.items()} for row in history.to_dict("records")]
        )
        self.best = -math.inf
        self.waited = 0
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self.started = time.monotonic() - (self.rows[-1]["seconds"] if self.rows else 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take no further step when the run had stopped early before it was interrupted."""
        assert isinstance(pl_module, TrainingModule)
        trainer.should_stop = 0 < pl_module.config.early_stopping <= self.waited

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any
    ) -> None:
        """Add the step to the running means; validate when it is time."""
        assert isinstance(pl_module, TrainingModule)
        for name in TERMS:
            self.sums[name] = self.sums.get(name, 0) + pl_module.latest[name]
        self.summed += 1
        step, config = trainer.global_step, pl_module.config
        if step % CHECK_EVERY == 0:
            pl_module.latest = _over_processes(pl_module.latest)
            if not torch.isfinite(pl_module.latest["loss"]):
                raise diverged(step, config.learning_rate)
        if step % config.validation_every == 0 or step == config.max_steps:
            self._validate(trainer, pl_module, step)

    def _validate(self, trainer: pl.Trainer, pl_module: TrainingModule, step: int) -> None:
        config, module = pl_module.config, pl_module.module
        common: dict[str, Any] = {
            "step": step,
            "share_open": _share_open(module),
            "mask_penalty": float(pl_module.latest["mask_weight"]) if module.has_mask else math.nan,
            "seconds": round(time.monotonic() - self.started, 2),
        }
        sums = _over_processes(self.sums)
        means = {name: float(value) / self.summed for name, value in sums.items()}
        if not math.isfinite(means["elbo"]):
            raise diverged(step, config.learning_rate)
        self.rows.append(common | {"split": "train"} | means)
        self.sums, self.summed = {}, 0
        score = math.inf
        if self.batches:
            terms = validation_terms(module, self.batches, config)
            if trainer.world_size > 1:  # all decide alike, whatever their rounding
                found = {
                    name: torch.tensor(v, device=pl_module.device) for name, v in terms.items()
                }
                terms = {name: float(value) for name, value in _over_processes(found).items()}
            score = terms.pop("objective")
            self.rows.append(common | {"split": "validation"} | terms)
        self._keep(trainer, pl_module, step, score)

    def _keep(
        self, trainer: pl.Trainer, pl_module: TrainingModule, step: int, score: float
    ) -> None:
        config = pl_module.config
        competing = step >= settled_step(pl_module.module, config)
        if not competing or score > self.best or math.isinf(score):
            self.best = score if competing else -math.inf
            self.waited = 0
            if trainer.is_global_zero:
                state = pl_module.module.state_dict()
                self.save_weights({name: value.clone() for name, value in state.items()})
        else:
            self.waited += 1
            trainer.should_stop = 0 < config.early_stopping <= self.waited
        if self.folder is not None and trainer.is_global_zero:
            with replacing(self.folder / HISTORY) as temporary:
                self.history().to_csv(temporary, index=False)
        if self.state_path is not None:
            trainer.save_checkpoint(self.state_path)

    def history(self) -> pd.DataFrame:
        """The training curves so far: one row per validation and split."""
        return pd.DataFrame(self.rows, columns=list(HISTORY_COLUMNS))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to choose as this one would have."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from an interrupted run."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]


class ProgressBar(pl.Callback):
    """A progress bar with the ELBO and its terms on a terminal; a line per validation elsewhere.

    Parameters
    ----------
    console
        Where to print.
    every
        Steps between the lines when the console is not a terminal.
    """

    def __init__(self, console: Console, every: int) -> None:
        self.console, self.every = console, every
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[terms]}"),
            console=console,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the bar at the step that training starts from."""
        if trainer.is_global_zero and self.console.is_terminal:
            self.progress.start()
            self.progress.add_task(
                "", total=trainer.max_steps, completed=trainer.global_step, terms=""
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any
    ) -> None:
        """Show where training is."""
        step = trainer.global_step
        if not trainer.is_global_zero or step % CHECK_EVERY:
            return
        assert isinstance(pl_module, TrainingModule)
        if self.console.is_terminal:
            self.progress.update(
                self.progress.task_ids[0], completed=step, terms=_describe(pl_module)
            )
        elif step % self.every == 0:
            self.console.print(f"step {step}/{trainer.max_steps}  {_describe(pl_module)}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()


def _describe(pl_module: TrainingModule) -> str:
    latest = {name: float(value) for name, value in pl_module.latest.items()}
    share = _share_open(pl_module.module)
    return (
        f"ELBO {latest['elbo']:.1f}  log p(x|z) {latest['log_likelihood']:.1f}  "
        f"KL z {latest['kl_z_basal']:.2f}  KL mask {latest['kl_mask']:.3f}  "
        f"KL E {latest['kl_embedding']:.3f}" + ("" if math.isnan(share) else f"  open {share:.1%}")
    )


def _over_processes(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means of what each process found of its cells."""
    means = mean_over_processes(torch.stack(list(values.values())))
    return dict(zip(values, means, strict=True))


def _share_open(module: PerturbationVAE) -> float:
    """Share of trained perturbations' mask entries that are open; NaN without a mask."""
    if not module.has_mask:
        return math.nan
    trained = module.cells_per_perturbation > 0
    return float((module.mask_probabilities()[trained] > 0.5).float().mean())


def diverged(step: int, learning_rate: float) -> TrainingError:
    """The error of a loss that is no longer a number."""
    return TrainingError(
        f"Training diverged at step {step} (the loss is not a finite number): lower learning_rate "
        f"(now {learning_rate:g}) or gradient_clip and train again."
    )
