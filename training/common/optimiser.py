"""Optimisation of a network: AdamW, learning rate cycle, averaged weights, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from training.common.checkpoint import Checkpoint


class Optimiser:
    """AdamW with one cycle of the learning rate, and a moving average of the weights.

    Args:
        network: network to train; it is moved to the channels-last memory format.
        steps: number of steps of the whole training.
        learning_rate: largest learning rate of the cycle.
        weight_decay: weight decay of AdamW.
        warmup_share: share of the steps in which the learning rate rises, 0..1.
        average_decay: decay of the moving average, 0..1, by the number of steps before.
        checkpoint: file to write to and to resume from.
        max_gradient_norm: norm to which gradients are clipped; None does not clip.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        steps: int,
        learning_rate: float,
        weight_decay: float,
        warmup_share: float,
        average_decay: Callable[[float], float],
        checkpoint: Path,
        max_gradient_norm: float | None = None,
    ) -> None:
        moved: Any = network  # the stubs do not know this argument
        moved.to(memory_format=torch.channels_last)
        self._network, self._max_gradient_norm = network, max_gradient_norm
        self._averaged = AveragedModel(
            network, avg_fn=lambda mean, new, step: mean.lerp(new, 1 - average_decay(float(step)))
        )
        self._adamw = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._adamw, learning_rate, steps + 1, pct_start=warmup_share
        )
        self._checkpoint = Checkpoint(
            checkpoint,
            {"network": network, "averaged": self._averaged, "optimiser": self._adamw, "schedule": self._schedule},
        )

    @property
    def averaged(self) -> Any:
        """Network with the averaged weights."""
        return self._averaged.module

    def resume(self) -> int:
        """Restore the checkpoint if there is one; return the number of completed steps."""
        return self._checkpoint.resume()

    def step(self, loss: Tensor) -> None:
        """Update the weights by the gradient of a loss."""
        self._adamw.zero_grad()
        typed: Any = loss  # the stubs do not type `backward`
        typed.backward()
        if self._max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._max_gradient_norm)
        self._adamw.step()
        self._schedule.step()
        self._averaged.update_parameters(self._network)

    def save(self, done: int) -> None:
        """Write the checkpoint after ``done`` steps; an interruption leaves the previous one."""
        self._checkpoint.save(done)


def update_batch_norm(network: nn.Module, batches: Iterable[Tensor], run: Callable[[Tensor], object]) -> None:
    """Measure the statistics of batch normalisation again.

    The statistics of averaged weights are not the average of the statistics (SWA, Izmailov et al. 2018, section 3.2).

    Args:
        network: network with averaged weights; it stays in training mode.
        batches: inputs of the network.
        run: runs the network on one batch.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    network.train()
    with torch.no_grad():
        for batch in batches:
            run(batch)
