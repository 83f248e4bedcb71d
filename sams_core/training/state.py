"""Lightning's training state as one safetensors file: tensors as they are, all else as JSON.

Nothing is pickled. Values that JSON knows, tensors, tuples and dictionaries with keys that are not
text are kept; anything else is refused when it is written, not when it is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from torch import Tensor

from sams_core.tensors import pack, unpack


class SafetensorsIO(CheckpointIO):
    """Reads and writes Lightning checkpoints for :class:`lightning.pytorch.Trainer`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write the state, atomically."""
        tensors: dict[str, Tensor] = {}
        tree = _encode(checkpoint, tensors)
        pack(
            Path(path), tensors, {"state": json.dumps(tree), "step": str(checkpoint["global_step"])}
        )

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read the state.

        Raises
        ------
        CheckpointError
            When the file is missing or damaged.
        """
        tensors, metadata = unpack(Path(path))
        state = _decode(json.loads(metadata["state"]), tensors)
        assert isinstance(state, dict)
        return state

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the file."""
        Path(path).unlink(missing_ok=True)


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[_encode(key, tensors), _encode(item, tensors)] for key, item in value.items()]
        return {"dict": items}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_encode(item, tensors) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"training state holds a {type(value).__name__}, which cannot be kept")


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in content)
    return {_decode(key, tensors): _decode(item, tensors) for key, item in content}


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The random generator of one step: a function of the seed and the step alone.

    A resumed run draws what an uninterrupted one would have, with no generator state to keep.
    """
    generator = torch.Generator(device)
    return generator.manual_seed((seed * 0x9E3779B97F4A7C15 + step) % 2**63)
