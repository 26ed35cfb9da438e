"""The whole road from a photograph to a karyotype, as one immutable, citable version."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, Self, TypeVar, get_type_hints

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.assignment import assign
from karyotyping.cell import AnalysisError, CellAnalysis, Chromosome, ChromosomeFlag, encode_mask
from karyotyping.chromosome import Measured, measure
from karyotyping.classification import classify
from karyotyping.classified import Classified
from karyotyping.contours import Contour
from karyotyping.iscn import format_iscn
from karyotyping.normalise import Mask, Normalised, normalise
from karyotyping.quality import measure_quality
from karyotyping.routing import ROUTER
from karyotyping.stream import Instance, Segmentation, StreamParameters, segment
from models import registry
from models.engine import Engine, load_engine

Photo = NDArray[np.uint8] | NDArray[np.uint16]

T = TypeVar("T")

NAME = "classical"
_RIM = 0.1
"""Share of the chromosome width that outlines lie outside of the stain."""
_BENT = 1.3
"""Length over distance between the tips from which a chromosome is called bent."""


class Pipeline:
    """One pipeline version: what it consists of, and what it does to an image.

    Engines are opened at the first image, so that a pipeline may be made before a process forks.
    """

    def __init__(self, document: Mapping[str, Any], engine: str = "auto") -> None:
        self.document = dict(document)
        self._engine = engine
        self._stream = from_dict(StreamParameters, document["parameters"]["stream"])

    @classmethod
    def default(cls, engine: str = "auto") -> Self:
        """The pipeline that this version of karyoflow ships.

        Raises:
            models.registry.ModelUnavailable: weights are missing from the installation.
        """
        document = {
            "name": NAME,
            "code_version": version("karyoflow"),
            "models": {ROUTER: registry.resolve(ROUTER).sha256},
            "parameters": json.loads(json.dumps({"stream": asdict(StreamParameters())})),
        }
        return cls(document, engine)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], engine: str = "auto") -> Self:
        """The pipeline that ``document`` describes.

        Raises:
            models.registry.ModelUnavailable: this installation lacks the weights, or has another code version.
        """
        if document["code_version"] != version("karyoflow"):
            raise registry.ModelUnavailable(
                f"pipeline {document['name']} was made by karyoflow {document['code_version']}, and this is "
                f"{version('karyoflow')}; run a worker of that version for it"
            )
        for sha256 in document["models"].values():
            registry.by_digest(sha256)
        return cls(document, engine)

    @property
    def digest(self) -> str:
        """SHA-256 of the document."""
        return registry.digest(self.document)

    @cached_property
    def _router(self) -> Engine:
        return load_engine(registry.by_digest(self.document["models"][ROUTER]).path, self._engine)

    def analyse(self, pixels: Photo) -> CellAnalysis:
        """Karyotype one (H, W) grey metaphase image.

        Raises:
            AnalysisError: ``no_chromosomes``: nothing in the image looks like one.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "normalise"):
            normalised = normalise(pixels)
        with _timed(seconds, "segment"):
            segmentation = segment(normalised, self._router, self._stream)
        if not segmentation.instances:
            raise AnalysisError("no_chromosomes", "Nothing in this image looks like a chromosome; is it a metaphase?")
        with _timed(seconds, "measure"):
            measured = [_measure(instance, normalised) for instance in segmentation.instances]
        with _timed(seconds, "classify"):
            classified = classify(measured, normalised.polarity)
            cell = _cell(normalised, segmentation, measured, classified)
        return replace(cell, seconds=seconds)

    def analyse_batch(self, images: Sequence[Photo]) -> list[CellAnalysis | AnalysisError]:
        """Karyotype several images; one that cannot be karyotyped stops nobody else."""
        return [self._analyse_or_say(pixels) for pixels in images]

    def _analyse_or_say(self, pixels: Photo) -> CellAnalysis | AnalysisError:
        try:
            return self.analyse(pixels)
        except AnalysisError as problem:
            return problem


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - began


def _measure(instance: Instance, normalised: Normalised) -> Measured:
    window = Contour(_within_halo(instance.mask, normalised.width), instance.origin)
    return measure(window.crop(normalised.stain), window.mask)


def _within_halo(mask: Mask, width: float) -> Mask:
    """The mask without its blurred rim, which would make short chromosomes look longer than they are."""
    rim = max(1, round(_RIM * width))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    core = cv2.erode(mask.astype(np.uint8), disc).astype(bool)
    return core if 2 * np.count_nonzero(core) > np.count_nonzero(mask) else mask


def _cell(
    normalised: Normalised,
    segmentation: Segmentation,
    measured: Sequence[Measured],
    classified: Sequence[Classified],
) -> CellAnalysis:
    instances = segmentation.instances
    assigned = assign([c.log_probabilities for c in classified], [i.score for i in instances])
    shape = (normalised.stain.shape[0], normalised.stain.shape[1])
    chromosomes = []
    for ordinal, k in enumerate(sorted(range(len(instances)), key=lambda k: -measured[k].length)):
        mask = _on_image(instances[k], shape)
        flags: set[ChromosomeFlag] = {*instances[k].flags, *(("bent",) if measured[k].bend > _BENT else ())}
        y, x = np.nonzero(mask)
        left, top = int(x.min()), int(y.min())
        chromosomes.append(
            Chromosome(
                ordinal=ordinal,
                box=(left, top, int(x.max()) - left + 1, int(y.max()) - top + 1),
                mask=encode_mask(mask),
                score=instances[k].score,
                class_id=assigned[k].class_id,
                class_score=assigned[k].score,
                top5=classified[k].top5,
                length=measured[k].length,
                width=measured[k].width,
                centromere_index=measured[k].centromere_index,
                orientation=classified[k].orientation(assigned[k].class_id),
                straightened=measured[k].straightened,
                profile=measured[k].profile,
                flags=frozenset(flags),
            )
        )
    known = [c.class_id for c in chromosomes if c.class_id is not None]
    counts = {class_id: known.count(class_id) for class_id in known}
    return CellAnalysis(
        shape=shape,
        chromosomes=tuple(chromosomes),
        quality=measure_quality(normalised, segmentation, chromosomes),
        iscn=format_iscn(counts, unidentified=len(chromosomes) - len(known)),
    )


def _on_image(instance: Instance, shape: tuple[int, int]) -> Mask:
    """The mask of an instance over an image of this shape."""
    whole = np.zeros(shape, bool)
    y, x = np.nonzero(instance.mask)
    x, y = x + instance.origin[0], y + instance.origin[1]
    inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
    whole[y[inside], x[inside]] = True
    return whole


def from_dict(kind: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass, nested ones included, that ``dataclasses.asdict`` turned into ``values``.

    Raises:
        TypeError: a name that ``kind`` does not know.
    """
    kinds = get_type_hints(kind)
    return kind(
        **{
            name: from_dict(kinds[name], value) if isinstance(value, Mapping) else _frozen(value)
            for name, value in values.items()
        }
    )


def _frozen(value: Any) -> Any:
    """JSON has no tuples: its lists become what the frozen parameters hold."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
