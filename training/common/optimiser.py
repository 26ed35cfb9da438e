"""How networks are trained: AdamW, one cycle of learning rate, an exponential average of the weights, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Optimiser:
    """Trains a network step by step; all that it needs to go on lies in its checkpoint.

    Args:
        network: put into the memory format in which convolutions are quick.
        steps: of the whole training.
        learning_rate: its largest.
        weight_decay: of AdamW.
        warming: share of the steps in which the learning rate rises.
        kept: share of the average that a step keeps, told how many came before it.
        steepest: largest norm of a gradient; none if None.
        checkpoint: file that is written to and resumed from.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        steps: int,
        learning_rate: float,
        weight_decay: float,
        warming: float,
        kept: Callable[[float], float],
        checkpoint: Path,
        steepest: float | None = None,
    ) -> None:
        moved: Any = network  # the stubs do not know this argument
        moved.to(memory_format=torch.channels_last)
        self._network = network
        self._steepest, self._checkpoint = steepest, checkpoint
        self._averaged = AveragedModel(network, avg_fn=lambda mean, new, n: mean.lerp(new, 1 - kept(float(n))))
        self._optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, learning_rate, steps + 1, pct_start=warming
        )
        self._parts: dict[str, Any] = {
            "network": network, "averaged": self._averaged, "optimiser": self._optimiser, "schedule": self._schedule
        }  # fmt: skip

    @property
    def averaged(self) -> Any:
        """The network with its averaged weights."""
        return self._averaged.module

    def resume(self) -> int:
        """Take up what the checkpoint holds, if there is one; how many steps were done."""
        if not self._checkpoint.is_file():
            return 0
        stored = torch.load(self._checkpoint, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(stored[name])
        return int(stored["step"])

    def step(self, loss: Tensor) -> None:
        """Learn from a loss."""
        self._optimiser.zero_grad()
        back: Any = loss
        back.backward()
        if self._steepest is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._steepest)
        self._optimiser.step()
        self._schedule.step()
        self._averaged.update_parameters(self._network)

    def save(self, done: int) -> None:
        """Write the checkpoint after so many steps; whole, or not at all."""
        partial = self._checkpoint.with_suffix(".partial")
        torch.save({"step": done} | {name: part.state_dict() for name, part in self._parts.items()}, partial)
        partial.replace(self._checkpoint)


def read_averaged_weights(checkpoint: Path) -> dict[str, Any]:
    """The averaged weights that a training has come to."""
    stored = torch.load(checkpoint, weights_only=True)["averaged"]
    return {name.removeprefix("module."): value for name, value in stored.items() if name.startswith("module.")}


def update_batch_norm(trained: nn.Module, seen: Iterable[Tensor], look: Callable[[Tensor], object]) -> None:
    """Take the statistics of batch normalisation afresh: those of averaged weights are not the average of theirs.

    Args:
        trained: left in training mode.
        seen: batches of what the network sees.
        look: runs the network on one.
    """
    norms = [module for module in trained.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over what follows
    trained.train()
    with torch.no_grad():
        for batch in seen:
            look(batch)
