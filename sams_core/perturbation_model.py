"""What every model does: made from a screen, trained, read, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from torch import Tensor

from sams_core import checkpoint
from sams_core import record as records
from sams_core.data.encoding import own_combinations, with_perturbations
from sams_core.data.minibatches import sequential_batches
from sams_core.data.screen import Screen
from sams_core.data.splits import SplitConfig, check_split, make_split
from sams_core.errors import CheckpointError, ConfigError
from sams_core.matching import require_same_names, require_training_screen
from sams_core.models import PerturbationVAE, VAEConfig, shift_moments
from sams_core.models.order import arrange
from sams_core.provenance import describe
from sams_core.record import CheckpointConfig, Combinations
from sams_core.settings import validated
from sams_core.source import require_same_order, write_source
from sams_core.storage import new_folder, remove_folder
from sams_core.training import Hardware, TrainingConfig, data_statistics, fit

STATE = Path("training") / "state.safetensors"


class PerturbationModel:
    """A model of a perturbation screen; :mod:`sams_core.api` has its families.

    Parameters
    ----------
    screen
        The cells, their counts and what was done to them.
    split : (n,) array of "train", "val", "test" or "unused", or SplitConfig, optional
        Which cells train, or the recipe for it. By default the screen's own split, or else a random
        one: a fifth of each condition's cells for testing, a fifth of the rest for validation.
    seed
        Seed of the default split and of the initial weights, and of training unless it is given
        another.
    title, citation
        What the app calls the checkpoint, and where its data come from.
    combinations
        Whether the dosages of a combination are the sum of its parts', ``"sum"``, or it is a
        perturbation of its own, ``"own"``. By default what suits the family.
    **hyperparameters
        Fields of the family's configuration, ``Config``.

    Raises
    ------
    ConfigError
        When a hyperparameter is unknown or out of range, or ``split`` does not fit the screen.
    TrainingError
        When the split leaves fewer than two training cells.
    """

    family: ClassVar[str]
    """Name of the family in ``config.json``."""
    Config: ClassVar[type[VAEConfig]]
    Module: ClassVar[type[PerturbationVAE]]
    default_combinations: ClassVar[Combinations] = "sum"

    config: VAEConfig
    module: PerturbationVAE
    screen: Screen | None = None
    split: np.ndarray
    folder: Path | None
    history: pd.DataFrame
    _cells: Screen
    _fresh: bool = False

    def __init__(
        self,
        screen: Screen,
        *,
        split: np.ndarray | SplitConfig | None = None,
        seed: int = 0,
        title: str | None = None,
        citation: str | None = None,
        combinations: Combinations | None = None,
        **hyperparameters: Any,
    ) -> None:
        config = validated(self.Config, hyperparameters)
        training = validated(TrainingConfig, {"seed": seed})
        if split is None and screen.split is None:
            split = SplitConfig(seed=seed)
        recipe = None
        if isinstance(split, SplitConfig):
            recipe, split = split.model_dump(), make_split(screen, split)
        encoding = self.default_combinations if combinations is None else combinations
        if encoding not in get_args(Combinations):
            raise ConfigError(f"combinations is {encoding!r}: use 'sum' or 'own'.")
        cells = own_combinations(screen) if encoding == "own" else screen
        self._setup(
            describe(
                self.family, screen, cells,
                model=config, training=training, split=recipe, combinations=encoding,
                title=title, citation=citation,
            )
        )  # fmt: skip
        given = np.asarray(screen.split if split is None else split)
        self.split = check_split(given, screen.n_cells)
        self.screen, self._cells = screen, cells
        self._initialise(cells)
        self._fresh = True

    def _setup(self, record: CheckpointConfig) -> None:
        self.record = record
        self.config = validated(self.Config, record.hyperparameters)
        self.module = self._new_module()
        self.folder, self.history = None, pd.DataFrame()

    def _new_module(self) -> PerturbationVAE:
        record = self.record
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(record.seed)
            n_batches = len(record.batches or [])
            return self.Module(self.config, len(record.genes), len(record.perturbations), n_batches)

    @property
    def training_config(self) -> TrainingConfig:
        """Settings that the model was, or would be, trained with."""
        return TrainingConfig.model_validate(self.record.training_settings)

    @property
    def gene_names(self) -> pd.Index:
        """Names of the G genes."""
        return pd.Index(self.record.genes)

    @property
    def perturbation_names(self) -> pd.Index:
        """Names of the T perturbations."""
        return pd.Index(self.record.perturbations)

    @property
    def has_mask(self) -> bool:
        """Whether the model says which latent dimensions each perturbation shifts."""
        return self.Module.has_mask

    @property
    def has_shift(self) -> bool:
        """Whether a perturbation is a shift in the latent space."""
        return self.Module.has_shift

    @property
    def control(self) -> str:
        """Label of the control condition."""
        return self.record.control

    @property
    def latent_names(self) -> list[str]:
        """Names of the L latent dimensions: ``z0``, ``z1`` and so on."""
        return [f"z{index}" for index in range(self.config.n_latent)]

    @property
    def library_sizes(self) -> np.ndarray:
        """Percentiles 0 to 100 of the training cells' total counts: (101,)."""
        return self.module.library_size_quantiles.cpu().numpy()

    @property
    def digest(self) -> str | None:
        """Digest of the checkpoint that the model was loaded from or saved to, if any."""
        return None if self.folder is None else checkpoint.checkpoint_digest(self.folder)

    def train(
        self,
        *,
        out: str | Path | None = None,
        hardware: Hardware | None = None,
        progress: bool | Console = True,
        **settings: Any,
    ) -> Self:
        """Train the model; afterwards it carries the weights that did best on validation cells.

        Training starts where the seed says, also when the model was trained before; a folder that
        it was loaded from or saved to is left as it is.

        Parameters
        ----------
        out
            Checkpoint folder to write while training goes on, so that it can be resumed.
        hardware
            Accelerator, devices and nodes; by default whatever is found.
        progress
            Whether, or on which console, to show progress.
        **settings
            Fields of :class:`sams_core.training.TrainingConfig`.

        Raises
        ------
        ConfigError
            When a setting is unknown or out of range.
        CheckpointError
            When ``out`` exists already.
        TrainingError
            When the split leaves nothing to train on, or the loss stops being a number.
        """
        screen = self._require_screen()
        training = validated(TrainingConfig, {"seed": self.record.seed, **settings})
        self.record = self.record.model_copy(update={"training": training.model_dump()})
        if not self._fresh:
            self._restart(screen)
        self.folder, self.history = None, pd.DataFrame()
        if out is not None:
            if rank_zero_only.rank == 0:  # several devices run this once each
                self._write(Path(out), training=True)
            self.folder = Path(out)
        return self._fit(hardware, progress)

    def resume(self, *, hardware: Hardware | None = None, progress: bool | Console = True) -> Self:
        """Go on with an interrupted training, to the weights it would have reached.

        The model must have been loaded from the run's folder with its screen. Tables that were
        prepared halfway are removed.

        Raises
        ------
        SamsError
            When there is no folder or screen, the state is damaged, or training diverges.
        """
        screen = self._require_screen()
        if self.folder is None:
            raise CheckpointError("Only a model loaded from its folder can resume training.")
        if not self.unfinished:
            return self
        require_same_order(self.folder, screen)
        if not (self.folder / STATE).exists():  # stopped before its first validation: from step 0
            self._restart(screen)
        if rank_zero_only.rank == 0 and (self.folder / records.EXPLORER).exists():
            remove_folder(self.folder / records.EXPLORER)
        return self._fit(hardware, progress)

    def _restart(self, screen: Screen) -> None:
        self.module = self._new_module()
        self._initialise(self.encoded(screen))

    def _initialise(self, cells: Screen) -> None:
        arrange(self.module, self.record.genes, cells.dosages)
        self.module.initialise(data_statistics(cells, self.split))

    @property
    def unfinished(self) -> bool:
        """Whether the folder holds a training that was interrupted."""
        return self.folder is not None and (self.folder / STATE.parent).exists()

    def _fit(self, hardware: Hardware | None, progress: bool | Console) -> Self:
        assert self.screen is not None
        self._fresh = False
        kept: dict[str, Tensor] = {}

        def keep(state: dict[str, Tensor]) -> None:
            kept.update(state)
            if self.folder is not None:
                checkpoint.write_weights(self.folder, self.record, state)

        self.history = fit(
            self.module, self.encoded(self.screen), self.split, self.training_config,
            save_weights=keep, folder=self.folder,
            state_path=None if self.folder is None else self.folder / STATE,
            hardware=hardware, console=Console() if progress is True else progress or None,
        )  # fmt: skip
        if rank_zero_only.rank == 0:
            if self.folder is not None:
                kept = checkpoint.read_weights(self.folder, self.record)
                remove_folder(self.folder / STATE.parent)
            self.module.cpu().load_state_dict(kept)
        self.module.eval()
        return self

    def save(self, folder: str | Path) -> None:
        """Write the checkpoint folder; it appears whole or not at all.

        Raises
        ------
        CheckpointError
            When the folder exists already.
        """
        self._write(Path(folder))
        self.folder = Path(folder)

    def _write(self, folder: Path, *, training: bool = False) -> None:
        with new_folder(folder) as temporary:
            records.write_config(temporary, self.record)
            checkpoint.write_weights(temporary, self.record, self.module.state_dict())
            checkpoint.write_split(temporary, self.record, self.split)
            if len(self.history):
                self.history.to_csv(temporary / records.HISTORY, index=False)
            if self.screen is not None:
                write_source(temporary, self.screen)
            if training:
                (temporary / STATE.parent).mkdir()

    @classmethod
    def load(cls, folder: str | Path, screen: Screen | None = None) -> Self:
        """Read a checkpoint folder.

        Parameters
        ----------
        folder
            What :meth:`save` or training wrote.
        screen
            The screen it was trained on, where cells are to be read or training resumed.

        Raises
        ------
        CheckpointError
            When the folder is missing, damaged, foreign or of another version, or the screen is
            not the one it was trained on.
        """
        folder, record = Path(folder), records.read_config(folder)
        if record.family != cls.family:
            raise CheckpointError(
                f"{folder} holds a model of family {record.family!r}, not {cls.family!r}: read it "
                "with sams_core.api.load_model."
            )
        model = cls.__new__(cls)
        model._setup(record)
        state = checkpoint.read_weights(folder, record)
        checkpoint.load_state(model.module, state, folder / records.WEIGHTS)
        model.module.eval()
        model.split = checkpoint.read_split(folder, record)
        model.folder, model.history = folder, records.read_history(folder)
        if screen is not None:
            model.attach(screen)
        return model

    def attach(self, screen: Screen) -> None:
        """Give a loaded model the screen it was trained on; CheckpointError if it is another."""
        require_training_screen(self.record, screen)
        self.screen = screen
        self._cells = own_combinations(screen) if self.record.combinations == "own" else screen

    def encoded(self, screen: Screen) -> Screen:
        """A screen with the model's perturbations, in which a combination may be one of its own."""
        if self.record.combinations == "sum":
            return screen
        if screen is self.screen:
            return self._cells
        return with_perturbations(own_combinations(screen), self.perturbation_names)

    def mask_probabilities(self) -> pd.DataFrame:
        """Inclusion probability of each mask entry: T perturbations x L latent dimensions."""
        return self._per_perturbation(self.module.mask_probabilities().detach().cpu().numpy())

    def embeddings(self) -> pd.DataFrame:
        """Posterior mean of the embedding E, before masking: T x L, in basal sd."""
        return self._per_perturbation(shift_moments(self.module).embedding_mean)

    def effects(self) -> pd.DataFrame:
        """Posterior mean of the latent shift E * M: T x L, in basal sd."""
        return self._per_perturbation(shift_moments(self.module).effect_mean)

    @torch.no_grad()
    def get_latent_representation(
        self, screen: Screen | None = None, kind: Literal["basal", "full"] = "full"
    ) -> np.ndarray:
        """Posterior mean of each cell's latent state.

        Parameters
        ----------
        screen
            n cells with the model's genes and perturbations, in its order, and with its batches;
            by default those the model was made with.
        kind
            ``"basal"`` for z_basal, the cell without its perturbation; ``"full"`` for z.

        Returns
        -------
        (n, L) float32 array

        Raises
        ------
        ConfigError
            When ``kind`` is another word, no screen is at hand, or it does not match the model.
        """
        if kind not in ("basal", "full"):
            raise ConfigError(f"kind must be 'basal' or 'full', not {kind!r}.")
        cells = self.encoded(self._require_screen() if screen is None else screen)
        require_same_names(self.record, cells)
        device = self.module.log_concentration.device
        effect = torch.from_numpy(shift_moments(self.module).effect_mean).float().to(device)
        parts = []
        for part in sequential_batches(cells, np.arange(cells.n_cells)):
            batch = part.to(device)
            shift = (batch.dosages @ effect)[None]
            basal = self.module.encode(batch, shift)[0][0]
            parts.append(basal if kind == "basal" else basal + shift[0])
        return torch.cat(parts).cpu().numpy()

    def _per_perturbation(self, values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values, index=self.perturbation_names, columns=self.latent_names)

    def _require_screen(self) -> Screen:
        if self.screen is None:
            raise ConfigError(
                "This model was loaded without cells: give the screen, as load(folder, screen=...)."
            )
        return self.screen
