"""Pipeline from a metaphase image to a karyotype, as one immutable version."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import StrEnum
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, NotRequired, Self, TypedDict, TypeVar, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey, Pixels
from karyotyping.chromosome.crop import crop_region
from karyotyping.chromosome.measure import Measurement, measure_cell
from karyotyping.chromosome.picture import draw_cell
from karyotyping.classification import band_matching, embedder
from karyotyping.classification.alternatives import ClassifiedCell
from karyotyping.classification.atypical_banding import flag_atypical
from karyotyping.classification.band_level import add_band_level
from karyotyping.classification.combination import combine
from karyotyping.classification.comparison import is_unresolved
from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.identify import Detection, cell_iscn, identify
from karyotyping.classification.prediction import Prediction
from karyotyping.classification.recognise import recognise
from karyotyping.classification.second_look import look_again
from karyotyping.image.normalise import Normalised, normalise
from karyotyping.model import AnalysisError, CellAnalysis, ContrastPolarity, Unassigned, encode_mask
from karyotyping.quality import measure_quality
from karyotyping.segmentation.instance_decoding import SEGMENTER
from karyotyping.segmentation.result import Instance, Segmentation, StreamParameters
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.stream import Networks, segment_batch
from models import registry
from models.engine import Engine, load_engine

T = TypeVar("T")


class Classifier(StrEnum):
    """Classifier of chromosomes; its name is the name of the pipeline."""

    EMBEDDING = "embedding"
    """The embedding network, trained on karyotype reports."""
    GEOMETRIC = "geometric"
    """Bands and shape compared with the ideograms, without a network."""


class Segmenter(StrEnum):
    """Segmenter of clusters into chromosomes."""

    NETWORK = "network"
    """The segmenter network, trained on simulated metaphases; its masks may overlap."""
    GEOMETRIC = "geometric"
    """Cuts that leave chromosome-like parts; only the contour router is a network."""


class PipelineParameters(TypedDict):
    """Parameters of a pipeline version."""

    stream: dict[str, Any]  # StreamParameters as JSON
    classifier: NotRequired[str]  # a Classifier; absent in documents older than the embedding network
    segmenter: NotRequired[str]  # a Segmenter; absent in documents older than the segmenter network


class PipelineDocument(TypedDict):
    """JSON document of a pipeline version; its digest identifies the version."""

    name: str
    code_version: str
    models: dict[str, str]  # SHA-256 of the weights by name of the network
    parameters: PipelineParameters


class Pipeline:
    """One pipeline version: its document, its engines and the analysis of images.

    Engines are opened at the first image, so that a pipeline can be created before a process forks.
    """

    def __init__(self, document: PipelineDocument, engine: str = "auto") -> None:
        self.document = document.copy()
        self._engine = engine
        self.stream = from_dict(StreamParameters, document["parameters"]["stream"])
        self._classifier = Classifier(document["parameters"].get("classifier", Classifier.GEOMETRIC))

    @classmethod
    def default(
        cls,
        engine: str = "auto",
        classifier: Classifier = Classifier.EMBEDDING,
        segmenter: Segmenter = Segmenter.NETWORK,
    ) -> Self:
        """Return the pipeline of this version of karyoflow.

        Args:
            engine: ``auto``, ``tensorrt``, ``cuda`` or ``cpu``.
            classifier: classifier of chromosomes.
            segmenter: segmenter of clusters.

        Raises:
            models.registry.ModelUnavailable: the installation lacks weights.
        """
        networks = [ROUTER]
        networks += [SEGMENTER] * (segmenter == Segmenter.NETWORK) + [EMBEDDER] * (classifier == Classifier.EMBEDDING)
        document = PipelineDocument(
            name=classifier.value + ("" if segmenter == Segmenter.NETWORK else "-geometric-segmenter"),
            code_version=version("karyoflow"),
            models={name: registry.resolve(name).sha256 for name in networks},
            parameters=PipelineParameters(
                stream=json.loads(json.dumps(asdict(StreamParameters()))),
                classifier=classifier.value,
                segmenter=segmenter.value,
            ),
        )
        return cls(document, engine)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], engine: str = "auto") -> Self:
        """Return the pipeline of ``document``, a ``PipelineDocument`` from the database.

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
        return cls(cast("PipelineDocument", document), engine)

    def open(self) -> Self:
        """Open the engines now instead of at the first image, and return the pipeline.

        Raises:
            models.errors.EngineUnavailable: this machine lacks the engine.
        """
        _ = self.networks, self._classifier == Classifier.EMBEDDING and self._embedder
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the document."""
        return registry.digest(self.document)

    @cached_property
    def networks(self) -> Networks:
        """The networks of the segmentation stream."""
        segmenter = self._load(SEGMENTER) if SEGMENTER in self.document["models"] else None
        if segmenter is None or self._classifier != Classifier.EMBEDDING:
            return Networks(self._load(ROUTER), segmenter)
        return Networks(self._load(ROUTER), segmenter, partial(recognise, embedder=self._embedder))

    @cached_property
    def _embedder(self) -> Engine:
        return self._load(EMBEDDER)

    def _load(self, name: str) -> Engine:
        return load_engine(registry.by_digest(self.document["models"][name]).path, self._engine)

    def analyse(self, pixels: Pixels) -> CellAnalysis:
        """Karyotype one (H, W) grey metaphase image.

        Raises:
            AnalysisError: ``no_chromosomes`` if none is detected.
        """
        result = self.analyse_batch([pixels])[0]
        if isinstance(result, AnalysisError):
            raise result
        return result

    def analyse_batch(self, images: Sequence[Pixels]) -> list[CellAnalysis | AnalysisError]:
        """Karyotype several images stage by stage, in common batches of every network.

        Those that leave something unexplained are segmented once more, in other orientations, and the better result of
        each place stays. An image without a karyotype does not affect the others. The results equal those of
        ``analyse`` up to rounding. Memory grows with the total number of pixels.

        Args:
            images: (H, W) grey metaphase images.

        Returns:
            For each image the analysis, or the error that ``analyse`` would raise.
        """
        if not images:
            return []
        seconds: defaultdict[str, float] = defaultdict(float)
        with _timed(seconds, "normalise"):
            normalised = [normalise(pixels) for pixels in images]
        cells = self._find(normalised, self.stream, seconds)
        others = self.stream.agreement.others
        if others and self.networks.segmenter is not None and self._classifier == Classifier.EMBEDDING:
            unresolved = [k for k, cell in enumerate(cells) if is_unresolved(cell)]
            turned = replace(self.stream, agreement=replace(self.stream.agreement, turns=others))
            again = self._find([normalised[k] for k in unresolved], turned, seconds)
            for k, cell in zip(unresolved, again, strict=True):
                cells[k] = combine(cells[k], cell)
        with _timed(seconds, "classify"):
            results = list(map(_assemble_cell, images, normalised, cells))
        mean = {stage: total / len(images) for stage, total in seconds.items()}
        return [cell if isinstance(cell, AnalysisError) else replace(cell, seconds=dict(mean)) for cell in results]

    def _find(
        self, images: Sequence[Normalised], parameters: StreamParameters, seconds: dict[str, float]
    ) -> list[ClassifiedCell]:
        """Return the chromosomes of each image with their classes; ``seconds`` by stage grow."""
        if not images:
            return []
        with _timed(seconds, "segment"):
            segmented = segment_batch(images, self.networks, parameters)
        with _timed(seconds, "measure"):
            measured = [_measure(*parts) for parts in zip(images, segmented, strict=True)]
        with _timed(seconds, "classify"):
            cells = list(map(ClassifiedCell, segmented, measured, self._classify(measured, images)))
            if self._classifier == Classifier.EMBEDDING:
                cells = [look_again(*parts, self._embedder) for parts in zip(images, cells, strict=True)]
        return cells

    def measure(self, pixels: Pixels) -> list[Measurement]:
        """Return the measured chromosomes of one (H, W) grey metaphase image."""
        image = normalise(pixels)
        return _measure(image, segment_batch([image], self.networks, self.stream)[0])

    def _classify(
        self, cells: Sequence[Sequence[Measurement]], images: Sequence[Normalised]
    ) -> Sequence[tuple[Prediction, ...]]:
        if self._classifier == Classifier.EMBEDDING:
            return embedder.classify_batch(cells, self._embedder)
        return [band_matching.classify(cell, image.polarity) for cell, image in zip(cells, images, strict=True)]


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the wall time of ``stage`` to ``seconds``."""
    began = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - began


def _measure(normalised: Normalised, segmentation: Segmentation) -> list[Measurement]:
    return measure_cell([crop_region(normalised.stain, instance.region()) for instance in segmentation.instances])


def _pictures(
    pixels: Pixels, polarity: ContrastPolarity, segmentation: Segmentation, measured: Sequence[Measurement]
) -> list[NDArray[np.uint8]]:
    """Return the pictures of the chromosomes, cut from the image itself.

    The normalised stain is limited, so the bands of bright chromosomes are lost in it.
    """
    sign = np.float32(1 if polarity == "light_on_dark" else -1)
    return draw_cell([sign * _cut_out(pixels, instance) for instance in segmentation.instances], measured)


def _cut_out(pixels: Pixels, instance: Instance) -> Grey:
    """Return the rectangle (h, w) of an instance, continued beyond the border of the image."""
    (x, y), (height, width) = instance.origin, instance.mask.shape
    rows, columns = (
        np.clip(np.arange(start, start + count), 0, size - 1)
        for start, count, size in zip((y, x), (height, width), pixels.shape, strict=True)
    )
    return np.asarray(pixels[np.ix_(rows, columns)], np.float32)


def _assemble_cell(
    pixels: Pixels,
    normalised: Normalised,
    classified: ClassifiedCell,
) -> CellAnalysis | AnalysisError:
    segmentation, measured = classified.segmentation, classified.measured
    if not segmentation.instances:
        return AnalysisError("no_chromosomes", "Nothing in this image looks like a chromosome; is it a metaphase?")
    shape = (normalised.stain.shape[0], normalised.stain.shape[1])
    detections = [Detection(item.full_mask(shape), item.score, item.flags) for item in segmentation.instances]
    pictures = _pictures(pixels, normalised.polarity, segmentation, measured)
    named = identify(detections, measured, classified.predictions, pictures)
    chromosomes = flag_atypical(named, measured, normalised.polarity)
    quality = add_band_level(measure_quality(normalised, segmentation, chromosomes), chromosomes, measured)
    rests = tuple(Unassigned(rest.kind, encode_mask(rest.region.full_mask(shape))) for rest in segmentation.rests)
    return CellAnalysis(shape, chromosomes, quality, cell_iscn(chromosomes, quality), rests=rests)


def from_dict(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return the inverse of ``dataclasses.asdict``, including nested dataclasses.

    Args:
        kind: the dataclass.
        values: its fields as JSON; lists become tuples.

    Raises:
        TypeError: ``values`` has a name that is not a field of ``kind``.
    """
    kinds = get_type_hints(kind)
    return kind(
        **{
            name: from_dict(kinds[name], value) if isinstance(value, Mapping) else _as_tuples(value)
            for name, value in values.items()
        }
    )


def _as_tuples(value: Any) -> Any:
    """Return ``value`` with its lists, nested ones included, as tuples."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
