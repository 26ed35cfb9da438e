"""How training computes on a CPU: in half the bits where the processor multiplies them, and nowhere else."""

from __future__ import annotations

from typing import Any

import torch


def halved() -> Any:
    """A context in which networks compute in bfloat16 on processors with AVX512-BF16 or AMX, in float32 on others.

    Convolutions then train faster; elsewhere bfloat16 is emulated, ten times slower. Losses belong outside.
    """
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())
