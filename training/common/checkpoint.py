"""Checkpoint of a training: the state of its parts after some steps, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


class Checkpoint:
    """State of a training in a file that is replaced as a whole.

    Args:
        file: the checkpoint.
        parts: networks, optimisers and schedules by the name that their state has in the file.
        counter: what the training counts, ``step`` or ``epoch``.
    """

    def __init__(self, file: Path, parts: Mapping[str, Any], counter: str = "step") -> None:
        self._file, self._parts, self._counter = file, parts, counter

    def resume(self) -> int:
        """Restore the parts if there is a checkpoint; return the number of completed steps."""
        if not self._file.is_file():
            return 0
        stored = torch.load(self._file, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(stored[name])
        return int(stored[self._counter])

    def save(self, done: int) -> None:
        """Write the checkpoint after ``done`` steps; an interruption leaves the previous one."""
        partial = self._file.with_suffix(".partial")
        state = {name: part.state_dict() for name, part in self._parts.items()}
        torch.save({self._counter: done} | state, partial)
        partial.replace(self._file)


def read_averaged_weights(checkpoint: Path) -> dict[str, Any]:
    """Return the averaged weights in a checkpoint of ``training.common.optimiser.Optimiser``."""
    stored = torch.load(checkpoint, weights_only=True)["averaged"]
    return {name.removeprefix("module."): value for name, value in stored.items() if name.startswith("module.")}
