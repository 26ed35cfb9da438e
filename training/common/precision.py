"""Precision of training on a CPU: bfloat16 where the processor multiplies it, else float32."""

from __future__ import annotations

from typing import Any

import torch


def autocast_bfloat16() -> Any:
    """Return a context in which networks compute in bfloat16 on processors with AVX512-BF16.

    Convolutions then train about twice as fast. Other processors emulate bfloat16, ten times slower: they stay in
    float32. Losses are computed outside of the context.
    """
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(torch.cpu.get_capabilities().get("avx512_bf16")))
