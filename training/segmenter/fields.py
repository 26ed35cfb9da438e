"""Training samples of the segmenter: tiles of simulated metaphases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Field:
    """A tile of a simulated metaphase as ``karyotyping.normalise`` gives it, at canonical scale."""

    stain: NDArray[np.float32]
    """(H, W): 0 background, about 1 chromosome."""
    masks: NDArray[np.bool_]
    """(N, H, W): every chromosome with enough of it inside the tile; they overlap where chromosomes do."""
    axes: NDArray[np.float32]
    """(N, K, 2): x, y along each medial axis; may leave the tile."""
    whole: NDArray[np.bool_]
    """(N,) whether all of it lies inside the tile."""
