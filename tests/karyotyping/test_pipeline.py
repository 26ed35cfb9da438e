"""The pipeline is deterministic, defined by its document, and its errors have named reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from karyotyping.model import AnalysisError, CellAnalysis, decode_mask
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from models.registry import ModelUnavailable, digest
from training.simulation import simulate


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.default("cpu")


@pytest.fixture(scope="module")
def cell(pipeline: Pipeline) -> CellAnalysis:
    return pipeline.analyse(simulate("46,XX", seed=0).pixels)


def test_a_simulated_cell_is_analysed_completely(cell: CellAnalysis) -> None:
    assert len(cell.chromosomes) in range(45, 49)
    lengths = [c.length for c in cell.chromosomes]
    assert lengths == sorted(lengths, reverse=True)
    assert [c.ordinal for c in cell.chromosomes] == list(range(len(lengths)))
    assert set(cell.seconds) >= {"normalise", "segment", "measure", "classify"}


def test_measure_returns_the_chromosomes_of_analyse(pipeline: Pipeline, cell: CellAnalysis) -> None:
    measured = pipeline.measure(simulate("46,XX", seed=0).pixels)
    assert sorted((item.length for item in measured), reverse=True) == [c.length for c in cell.chromosomes]
    assert pipeline.measure(np.full((300, 300), 240, np.uint8)) == []


def test_boxes_bound_the_masks(cell: CellAnalysis) -> None:
    for chromosome in cell.chromosomes:
        rows, columns = np.nonzero(decode_mask(chromosome.mask))
        x, y, w, h = chromosome.box
        assert (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1) == (x, y, w, h)
        assert 0.0 <= chromosome.score <= 1.0


def test_the_document_survives_json_and_makes_the_same_pipeline(pipeline: Pipeline, cell: CellAnalysis) -> None:
    document = json.loads(json.dumps(pipeline.document))
    assert document == pipeline.document
    again = Pipeline.from_document(document, "cpu")
    assert digest(again.document) == digest(pipeline.document)
    repeated = again.analyse(simulate("46,XX", seed=0).pixels)
    assert [(c.mask, c.score, c.class_id) for c in repeated.chromosomes] == [
        (c.mask, c.score, c.class_id) for c in cell.chromosomes
    ]
    assert replace(repeated.quality, score=0.0) == replace(cell.quality, score=0.0)


def test_the_document_names_its_parts_and_its_networks() -> None:
    documents = [Pipeline.default("cpu", one, other).document for one, other in product(Classifier, Segmenter)]
    assert {document["name"]: set(document["models"]) for document in documents} == {
        "embedding": {"router", "segmenter", "embedder"},
        "embedding-geometric-segmenter": {"router", "embedder"},
        "geometric": {"router", "segmenter"},
        "geometric-geometric-segmenter": {"router"},
    }
    assert [d["parameters"]["segmenter"] for d in documents] == ["network", "geometric"] * 2
    assert len({digest(document) for document in documents}) == 4


def test_embeddings_of_one_class_are_more_similar_than_others(cell: CellAnalysis) -> None:
    embeddings = np.array([c.embedding for c in cell.chromosomes])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)
    similarity = embeddings @ embeddings.T
    same = np.equal.outer([c.class_id for c in cell.chromosomes], [c.class_id for c in cell.chromosomes])
    assert similarity[same].mean() > similarity[~same].mean() + 0.5


def test_a_document_from_before_the_networks_is_geometric(pipeline: Pipeline) -> None:
    old = {
        **pipeline.document,
        "name": "classical",
        "models": {"router": pipeline.document["models"]["router"]},
        "parameters": {"stream": pipeline.document["parameters"]["stream"]},
    }
    analysis = Pipeline.from_document(old, "cpu").analyse(simulate("46,XX", seed=0).pixels)
    geometric = Pipeline.default("cpu", Classifier.GEOMETRIC, Segmenter.GEOMETRIC).analyse(
        simulate("46,XX", seed=0).pixels
    )
    assert [(c.class_id, c.class_score) for c in analysis.chromosomes] == [
        (c.class_id, c.class_score) for c in geometric.chromosomes
    ]
    assert {c.embedding for c in analysis.chromosomes} == {None}


def test_a_stored_document_keeps_its_orientations(pipeline: Pipeline) -> None:
    """Those of a pipeline in the database are plain lists of numbers."""
    document = json.loads(json.dumps(pipeline.document))
    document["parameters"]["stream"]["agreement"] |= {"turns": [0, 3], "others": [1, 2]}
    pixels = simulate("46,XX", seed=11, touching=12, overlapping=8).pixels
    stored = Pipeline.from_document(document, "cpu").open()
    assert (stored.stream.agreement.turns, stored.stream.agreement.others) == ((0, 3), (1, 2))
    assert stored.analyse(pixels).iscn == pipeline.analyse(pixels).iscn


def test_parameters_of_the_document_are_applied(pipeline: Pipeline) -> None:
    document = json.loads(json.dumps(pipeline.document))
    document["parameters"]["stream"]["least_score"] = 1.1
    with pytest.raises(AnalysisError, match="chromosome"):
        Pipeline.from_document(document, "cpu").analyse(simulate("46,XX", seed=0).pixels)


def test_an_image_without_chromosomes_has_a_named_reason(pipeline: Pipeline) -> None:
    with pytest.raises(AnalysisError) as raised:
        pipeline.analyse(np.full((120, 160), 200, np.uint8))
    assert raised.value.reason == "no_chromosomes"
    assert raised.value.sentence


def test_a_batch_gives_the_results_of_single_images(pipeline: Pipeline, cell: CellAnalysis) -> None:
    images = [
        np.zeros((100, 100), np.uint8),
        simulate("46,XX", seed=0).pixels,
        simulate("47,XY,+21", seed=1, shape=(500, 640)).pixels,
    ]
    calls: list[int] = []
    counted = Pipeline(pipeline.document, "cpu")
    networks = pipeline.networks
    assert networks.router
    counted.__dict__["networks"] = replace(networks, router=_Counting(networks.router, calls))
    counted.__dict__["_embedder"] = _Counting(pipeline._embedder, calls)
    black, first, second = counted.analyse_batch(images)
    assert isinstance(black, AnalysisError)
    assert isinstance(first, CellAnalysis)
    assert isinstance(second, CellAnalysis)
    for batched, single in ((first, cell), (second, pipeline.analyse(images[2]))):
        assert (batched.iscn, batched.shape) == (single.iscn, single.shape)
        for one, other in zip(batched.chromosomes, single.chromosomes, strict=True):
            assert (one.mask, one.class_id, one.orientation) == (other.mask, other.class_id, other.orientation)
            assert (one.score, one.class_score) == pytest.approx((other.score, other.class_score), abs=1e-4)
            np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-4)
    count = len(first.chromosomes) + len(second.chromosomes)
    # The router once, the embedder in both orientations, then what else in a cell may be a chromosome.
    assert calls[1:3] == [count, count]
    assert counted.analyse_batch([]) == []


class _Counting:
    """An engine that records its batch sizes."""

    def __init__(self, engine: Any, calls: list[int]) -> None:
        self._engine, self._calls = engine, calls

    def infer(self, inputs: dict[str, Any]) -> Any:
        self._calls.append(len(inputs["appearance"]))
        return self._engine.infer(inputs)


def test_another_code_version_or_missing_weights_raise(pipeline: Pipeline) -> None:
    with pytest.raises(ModelUnavailable, match=r"0\.0\.0-other"):
        Pipeline.from_document({**pipeline.document, "code_version": "0.0.0-other"})
    with pytest.raises(ModelUnavailable):
        Pipeline.from_document({**pipeline.document, "models": {"router": "0" * 64}})
