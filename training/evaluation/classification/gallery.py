"""The mistakes that a classifier was surest of, as pictures."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from karyotyping.arrays import Ints
from training.evaluation.classification.data import LABELS, MISSING, NO_CLASS, Compared
from training.evaluation.page import INK, PALE, WRONG, Page

WORST = 50
_ACROSS = 10
_TILE = (118, 190)
_CAPTION = 56
_LARGEST_SCALE = 3.0


def worst_errors(compared: Compared, count: int = WORST) -> Ints:
    """Rows of the ``count`` wrong answers with the highest scores, surest first; a ``?`` is no wrong class."""
    said = compared.isolated
    wrong = np.flatnonzero(
        (said.label != compared.true) & (said.label != MISSING) & (said.label != NO_CLASS) & ~np.isnan(said.score)
    )
    return wrong[np.argsort(-said.score[wrong], kind="stable")][:count]


def gallery(compared: Compared, crops: Path) -> NDArray[np.uint8]:
    """The worst errors, (H, W, 3) RGB, each above its true class, the class it was taken for and the score.

    Args:
        compared: the answers.
        crops: zip or folder that holds the pictures under the names in the truth.

    Raises:
        ValueError: a picture is not there.
    """
    rows = worst_errors(compared)
    width, height = _TILE
    page = Page(_ACROSS * width + 60, 90 + height * max(1, -(-len(rows) // _ACROSS)))
    page.text((30, 36), "Surest errors", size=22, anchor="lm")
    page.text((30, 64), "true > predicted, and the score", ink=PALE, anchor="lm")
    for place, (row, picture) in enumerate(
        zip(rows.tolist(), _pictures(compared.file[rows].tolist(), crops), strict=True)
    ):
        left, top = 30 + width * (place % _ACROSS), 90 + height * (place // _ACROSS)
        room = (2 * (width - 14), 2 * (height - _CAPTION))
        scale = min(room[0] / picture.width, room[1] / picture.height, 2 * _LARGEST_SCALE)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        shown = picture.resize(size, Image.Resampling.LANCZOS)
        page.paste(shown, left + (width - size[0] / 2) / 2, top + (height - _CAPTION - size[1] / 2) / 2)
        true, said = LABELS[compared.true[row]], LABELS[compared.isolated.label[row]]
        page.text((left + width / 2, top + height - _CAPTION + 16), f"{true} > {said}", size=16, ink=WRONG)
        page.text((left + width / 2, top + height - _CAPTION + 35), f"{compared.isolated.score[row]:.4f}", ink=INK)
    return page.pixels()


def _pictures(files: list[str], crops: Path) -> list[Image.Image]:
    try:
        if not zipfile.is_zipfile(crops):
            return [Image.open(crops / name).convert("L") for name in files]
        with zipfile.ZipFile(crops) as archive:
            return [Image.open(io.BytesIO(archive.read(name))).convert("L") for name in files]
    except (KeyError, OSError) as problem:
        raise ValueError(f"{crops} does not hold the pictures that the truth names: {problem}") from problem
