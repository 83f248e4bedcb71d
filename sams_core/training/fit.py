"""Training from a screen to kept weights, on Lightning."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
from lightning.pytorch.trainer.states import TrainerStatus
from rich.console import Console
from scipy import sparse
from torch import Tensor

from sams_core.data.minibatches import TrainingBatches, sequential_batches
from sams_core.data.resident import ResidentCounts, fits
from sams_core.data.screen import Screen
from sams_core.errors import ConfigError
from sams_core.models import Minibatch, PerturbationVAE
from sams_core.models.order import perturbation_rank
from sams_core.record import read_history
from sams_core.tensors import unpack
from sams_core.training.callbacks import Keeper, ProgressBar
from sams_core.training.config import TrainingConfig
from sams_core.training.lightning_module import TrainingModule
from sams_core.training.state import SafetensorsIO

MAX_VALIDATION_CELLS = 5000


@dataclass(frozen=True)
class Hardware:
    """Where to train: passed to :class:`lightning.pytorch.Trainer` as it is."""

    accelerator: str = "auto"
    devices: int | str = "auto"
    num_nodes: int = 1


class _Batches(pl.LightningDataModule):
    """Training minibatches from the step that training has reached."""

    def __init__(
        self, screen: Screen, cells: np.ndarray, config: TrainingConfig, draw_rank: np.ndarray
    ) -> None:
        super().__init__()
        self.screen, self.cells, self.config = screen, cells, config
        self.draw_rank = draw_rank

    def train_dataloader(self) -> Iterable[Minibatch]:
        """Called once training has restored its step."""
        assert self.trainer is not None
        counts, device = self.screen.counts, self.trainer.strategy.root_device
        resident = None
        if isinstance(counts, sparse.csr_matrix) and fits(counts, device):
            resident = ResidentCounts(counts, device)
        return TrainingBatches(
            self.screen,
            self.cells,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            start_step=self.trainer.global_step,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            draw_rank=self.draw_rank,
            resident=resident,
        )


def fit(
    module: PerturbationVAE,
    screen: Screen,
    split: np.ndarray,
    config: TrainingConfig,
    *,
    save_weights: Callable[[dict[str, Tensor]], None],
    folder: Path | None = None,
    state_path: Path | None = None,
    hardware: Hardware | None = None,
    console: Console | None = None,
) -> pd.DataFrame:
    """Train a model in place.

    Parameters
    ----------
    module
        The initialised model; at the end it carries the last step's weights.
    screen
        n cells.
    split : (n,) array of "train", "val" or "test"
        Which cells train and which choose the weights to keep.
    config
        Settings.
    save_weights
        Called with each set of weights that is to be kept in place of the one before.
    folder
        Checkpoint folder for ``history.csv``.
    state_path
        Resumable training state; training goes on from it where it exists.
    hardware
        Where to train; by default whatever is found.
    console
        Where progress is shown; None for silence.

    Returns
    -------
    pandas.DataFrame
        The training curves.

    Raises
    ------
    CheckpointError
        When the training state or ``history.csv`` is damaged.
    TrainingError
        When the loss stops being a number.
    ConfigError
        When a cluster started another number of processes than ``hardware`` says.
    """
    training = np.flatnonzero(split == "train")
    hardware = hardware or Hardware()
    draw_rank = perturbation_rank(screen.dosages).numpy()
    resume = state_path if state_path is not None and state_path.exists() else None
    keeper = Keeper(
        _validation_batches(screen, split, config, draw_rank),
        save_weights,
        folder,
        state_path,
        _history_until(folder, resume),
    )
    callbacks: list[pl.Callback] = [keeper]
    if console is not None:
        callbacks.append(ProgressBar(console, config.validation_every))
    with _quiet():
        trainer = pl.Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.num_nodes,
            max_steps=config.max_steps,
            max_epochs=-1,
            gradient_clip_val=config.gradient_clip or None,
            callbacks=callbacks,
            plugins=[SafetensorsIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            limit_val_batches=0,
        )
        _check_processes(trainer)
        batches = _Batches(screen, training, config, draw_rank)
        _run(trainer, TrainingModule(module, config), batches, resume)
    return keeper.history()


def _check_processes(trainer: pl.Trainer) -> None:
    """Refuse a number of devices that is not what srun or torchrun started processes for."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if environment is None:  # one device
        return
    try:
        environment.validate_settings(num_devices=trainer.num_devices, num_nodes=trainer.num_nodes)
    except ValueError as error:
        text = " ".join(str(error).split())
        raise ConfigError(
            f"The cluster started other processes than devices and num_nodes say: {text}"
        ) from error


def _run(
    trainer: pl.Trainer, training: TrainingModule, batches: _Batches, resume: Path | None
) -> None:
    previous = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(training, datamodule=batches, ckpt_path=resume)
    except SystemExit:
        if trainer.state.status == TrainerStatus.INTERRUPTED:
            raise KeyboardInterrupt from None
        raise
    finally:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, previous)


def _validation_batches(
    screen: Screen, split: np.ndarray, config: TrainingConfig, draw_rank: np.ndarray
) -> list[Minibatch]:
    cells = np.flatnonzero(split == "val")
    if len(cells) > MAX_VALIDATION_CELLS:
        chosen = np.random.default_rng(config.seed).choice(
            cells, MAX_VALIDATION_CELLS, replace=False
        )
        cells = np.sort(chosen)
    return list(sequential_batches(screen, cells, draw_rank=draw_rank))


def _history_until(folder: Path | None, resume: Path | None) -> pd.DataFrame | None:
    if folder is None or resume is None:
        return None
    _, metadata = unpack(resume)
    history = read_history(folder)
    return history[history["step"] <= int(metadata["step"])]


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """Keep Lightning's advertisements and advice for interactive loops off the console."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
