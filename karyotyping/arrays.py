"""Names of the array types that the rooms share; what an axis means is in each docstring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) grey values of a metaphase image as decoded, 0 is black."""
Grey = NDArray[np.float32]
"""(H, W) grey values or stain."""
Mask = NDArray[np.bool_]
"""(H, W) membership of pixels."""

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
