"""What the segmentation stream asks the classifier about: proposals before selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from karyotyping.image.normalise import Normalised
from karyotyping.pipeline import Pipeline
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.recognition import Recognise, Recognised
from karyotyping.segmentation.stream import segment_batch
from models.registry import digest


@dataclass(frozen=True, slots=True)
class Question:
    """Proposals of one image at one scale."""

    image: Normalised
    regions: Sequence[Contour]
    """(N,) distinct proposals, and the chromosomes that are surely single."""
    members: Sequence[int]
    """Indices of the regions that give the scale of the cell."""


class _Recorder:
    """A classifier that keeps what it is asked about."""

    def __init__(self, recognise: Recognise) -> None:
        self._recognise = recognise
        self.questions: list[Question] = []

    def __call__(self, image: Normalised, regions: Sequence[Contour], members: Sequence[int]) -> Recognised:
        self.questions.append(Question(image, regions, members))
        return self._recognise(image, regions, members)


def identify_source(**of_images: Any) -> str:
    """Return what identifies proposals in names of files: pipeline and images."""
    return digest({"pipeline": Pipeline.default().digest, **of_images})[:8]


def ask_about(image: Normalised) -> list[Question]:
    """Segment an image with the default pipeline; return a question for each scale tried."""
    pipeline = _pipeline()
    assert pipeline.networks.recognise is not None, "the default pipeline has a classifier"
    recorder = _Recorder(pipeline.networks.recognise)
    segment_batch([image], replace(pipeline.networks, recognise=recorder), pipeline.stream)
    return recorder.questions


_opened: list[Pipeline] = []
"""The pipeline of this process: its engines cannot be sent to others."""


def _pipeline() -> Pipeline:
    if not _opened:
        _opened.append(Pipeline.default().open())
    return _opened[0]
