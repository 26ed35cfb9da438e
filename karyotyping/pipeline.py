"""The whole road from a photograph to a karyotype, as one immutable, citable version."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import StrEnum
from functools import cached_property
from importlib.metadata import version
from typing import Any, Self, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Pixels
from karyotyping.chromosome.crop import trim_halo
from karyotyping.chromosome.measure import Measurement, measure_cell
from karyotyping.classification import band_matching, embedder
from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.identify import Detection, cell_iscn, identify
from karyotyping.classification.prediction import Prediction
from karyotyping.image.normalise import Normalised, normalise
from karyotyping.model import AnalysisError, CellAnalysis
from karyotyping.quality import measure_quality
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import SEGMENTER
from karyotyping.segmentation.result import Instance, Segmentation, StreamParameters
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.stream import Networks, segment_batch
from models import registry
from models.engine import Engine, load_engine

T = TypeVar("T")


class Classifier(StrEnum):
    """What names the chromosomes of a pipeline, and the pipeline itself."""

    EMBEDDING = "embedding"
    """The embedding network, learned from karyotype reports."""
    GEOMETRIC = "geometric"
    """Bands and shape compared with the ideograms; nothing is learned."""


class Segmenter(StrEnum):
    """What tells the chromosomes of a cluster apart."""

    NETWORK = "network"
    """The segmenter network, learned from simulated metaphases; its masks may overlap."""
    GEOMETRIC = "geometric"
    """Cuts along which both parts look like chromosomes; nothing but the contour router is learned."""


class Pipeline:
    """One pipeline version: what it consists of, and what it does to an image.

    Engines are opened at the first image, so that a pipeline may be made before a process forks.
    """

    def __init__(self, document: Mapping[str, Any], engine: str = "auto") -> None:
        self.document = dict(document)
        self._engine = engine
        self._stream = from_dict(StreamParameters, document["parameters"]["stream"])
        # Documents from before there was an embedding network do not name a classifier.
        self._classifier = Classifier(document["parameters"].get("classifier", Classifier.GEOMETRIC))

    @classmethod
    def default(
        cls,
        engine: str = "auto",
        classifier: Classifier = Classifier.EMBEDDING,
        segmenter: Segmenter = Segmenter.NETWORK,
    ) -> Self:
        """The pipeline that this version of karyoflow ships, with either classifier and either segmenter.

        Raises:
            models.registry.ModelUnavailable: weights are missing from the installation.
        """
        networks = [ROUTER]
        networks += [SEGMENTER] * (segmenter == Segmenter.NETWORK) + [EMBEDDER] * (classifier == Classifier.EMBEDDING)
        parameters = {
            "stream": asdict(StreamParameters()), "classifier": classifier.value, "segmenter": segmenter.value
        }  # fmt: skip
        # Named after what differs from the usual.
        other = "" if segmenter == Segmenter.NETWORK else "-geometric-segmenter"
        document = {
            "name": classifier.value + other,
            "code_version": version("karyoflow"),
            "models": {name: registry.resolve(name).sha256 for name in networks},
            "parameters": json.loads(json.dumps(parameters)),
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

    def open(self) -> Self:
        """Open its engines now instead of at the first image; itself.

        Raises:
            models.errors.EngineUnavailable: this machine lacks the engine.
        """
        _ = self._networks, self._classifier == Classifier.EMBEDDING and self._embedder
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the document."""
        return registry.digest(self.document)

    @cached_property
    def _networks(self) -> Networks:
        # Documents from before there was a segmenter network do not name one.
        segmenter = self._load(SEGMENTER) if SEGMENTER in self.document["models"] else None
        return Networks(self._load(ROUTER), segmenter)

    @cached_property
    def _embedder(self) -> Engine:
        return self._load(EMBEDDER)

    def _load(self, name: str) -> Engine:
        return load_engine(registry.by_digest(self.document["models"][name]).path, self._engine)

    def analyse(self, pixels: Pixels) -> CellAnalysis:
        """Karyotype one (H, W) grey metaphase image.

        Raises:
            AnalysisError: ``no_chromosomes``: nothing in the image looks like one.
        """
        answer = self.analyse_batch([pixels])[0]
        if isinstance(answer, AnalysisError):
            raise answer
        return answer

    def analyse_batch(self, images: Sequence[Pixels]) -> list[CellAnalysis | AnalysisError]:
        """Karyotype several images, stage by stage, so that they share the batches of every network.

        One that cannot be karyotyped stops nobody else. The results are those of ``analyse`` to within the rounding of
        sums, and the memory needed grows with the pixels of all images together.
        """
        if not images:
            return []
        seconds: dict[str, float] = {}
        with _timed(seconds, "normalise", len(images)):
            normalised = [normalise(pixels) for pixels in images]
        with _timed(seconds, "segment", len(images)):
            segmented = segment_batch(normalised, self._networks, self._stream)
        with _timed(seconds, "measure", len(images)):
            measured = [_measure(image, found) for image, found in zip(normalised, segmented, strict=True)]
        with _timed(seconds, "classify", len(images)):
            classified = self._classify(measured, normalised)
            cells = [_cell(*parts) for parts in zip(normalised, segmented, measured, classified, strict=True)]
        return [cell if isinstance(cell, AnalysisError) else replace(cell, seconds=dict(seconds)) for cell in cells]

    def measure(self, pixels: Pixels) -> list[Measurement]:
        """The chromosomes of one (H, W) grey metaphase image, before they are named; none if it shows none."""
        image = normalise(pixels)
        return _measure(image, segment_batch([image], self._networks, self._stream)[0])

    def _classify(
        self, cells: Sequence[Sequence[Measurement]], images: Sequence[Normalised]
    ) -> Sequence[tuple[Prediction, ...]]:
        if self._classifier == Classifier.EMBEDDING:
            return embedder.classify_batch(cells, self._embedder)
        return [band_matching.classify(cell, image.polarity) for cell, image in zip(cells, images, strict=True)]


@contextmanager
def _timed(seconds: dict[str, float], stage: str, images: int) -> Iterator[None]:
    """Note how long ``stage`` took for each of its images, on average."""
    began = time.perf_counter()
    yield
    seconds[stage] = (time.perf_counter() - began) / images


def _measure(normalised: Normalised, segmentation: Segmentation) -> list[Measurement]:
    return measure_cell([_outlined(instance, normalised) for instance in segmentation.instances])


def _outlined(instance: Instance, normalised: Normalised) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    stain = Contour(instance.mask, instance.origin).crop(normalised.stain)
    return stain, trim_halo(stain, instance.mask)


def _cell(
    normalised: Normalised,
    segmentation: Segmentation,
    measured: Sequence[Measurement],
    classified: Sequence[Prediction],
) -> CellAnalysis | AnalysisError:
    if not segmentation.instances:
        return AnalysisError("no_chromosomes", "Nothing in this image looks like a chromosome; is it a metaphase?")
    shape = (normalised.stain.shape[0], normalised.stain.shape[1])
    outlined = [Detection(i.full_mask(shape), i.score, i.flags) for i in segmentation.instances]
    chromosomes = identify(outlined, measured, classified)
    return CellAnalysis(
        shape=shape,
        chromosomes=chromosomes,
        quality=measure_quality(normalised, segmentation, chromosomes),
        iscn=cell_iscn(chromosomes),
    )


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
