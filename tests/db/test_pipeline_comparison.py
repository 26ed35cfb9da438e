"""Differences of pipeline documents, and agreement of results."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from db import pipelines, queue
from db.pipeline_comparison import (
    ABSENT,
    Agreement,
    Difference,
    PipelineState,
    agreement,
    differences,
    list_pipelines,
)
from db.pipeline_lifecycle import retire
from db.schema import Priority
from models.registry import digest

OLD = {"models": {"router": "aa", "embedder": "bb"}, "parameters": {"stream": {"tile": 384, "bounds": [1, 2]}}}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (OLD, []),
        ({**OLD, "models": {"router": "aa"}}, [Difference("models.embedder", "bb", ABSENT)]),
        (
            {**OLD, "parameters": {"stream": {"tile": 512, "bounds": [1, 3]}, "classifier": "geometric"}},
            [
                Difference("parameters.classifier", ABSENT, "geometric"),
                Difference("parameters.stream.bounds", [1, 2], [1, 3]),
                Difference("parameters.stream.tile", 384, 512),
            ],
        ),
    ],
)
def test_differences_have_dotted_keys(new: dict[str, Any], expected: list[Difference]) -> None:
    assert differences(OLD, new) == expected


@pytest.fixture
def compared(laboratory: Any) -> tuple[int, int]:
    """Two pipelines with three common images of two cases.

    They agree on one image; of another the karyotype differs, of a third also the count.
    """
    first, second = laboratory.pipeline("first", alias="production"), laboratory.pipeline("second")
    images = [*laboratory.images(2, "A-1"), *laboratory.images(2, "B-1")]
    answers = {
        first: [("46,XX", 46), ("46,XX", 46), ("46,XY", 46), ("46,XY", 46)],
        second: [("46,XX", 46), ("47,XX,+21", 47), ("46,XX", 46)],
    }
    result = laboratory.result
    for pipeline_id, given in answers.items():
        with laboratory.sessions.begin() as session:
            queue.enqueue(session, images[: len(given)], pipeline_id, Priority.ROUTINE)
        by_image = dict(zip(images, given, strict=False))
        for leased in laboratory.leased(10):
            iscn, chromosomes = by_image[leased.image_id]
            qc = {**result.qc, "chromosome_count": chromosomes}
            laboratory.result = dataclasses.replace(result, iscn=iscn, qc=qc)
            laboratory.begin(leased)
            laboratory.finish(leased)
    summaries = {("A-1", first): "46,XX", ("A-1", second): "46,XX", ("B-1", first): "46,XY", ("B-1", second): "46,XX"}
    with laboratory.sessions.begin() as session:
        for stale in queue.stale_cases(session, 10, 60):
            iscn = summaries["A-1" if stale.case_id == 1 else "B-1", stale.pipeline_id]
            queue.write_case(session, stale, summary={}, artefacts={}, iscn=iscn, resolution="resolved")
    return first, second


def test_agreement_counts_images_and_cases_of_both(laboratory: Any, compared: tuple[int, int]) -> None:
    with laboratory.sessions() as session:
        counted = agreement(session, *compared)
        assert counted == Agreement(3, equal_count=2, equal_karyotype=1, cases=2, equal_case_karyotype=1)
        assert agreement(session, *reversed(compared)) == counted
        assert agreement(session, compared[0], laboratory.pipeline("unused")) == Agreement(0, 0, 0, 0, 0)


def test_a_list_shows_state_results_and_differences_from_production(laboratory: Any) -> None:
    documents = [
        {**OLD, "name": "old", "code_version": "1"},
        {**OLD, "name": "new", "code_version": "2", "models": {"router": "cc", "embedder": "bb"}},
        {**OLD, "name": "bad", "code_version": "2"},
    ]
    with laboratory.sessions.begin() as session:
        ids = [pipelines.register(session, document, digest(document)) for document in documents]
        assert [summary.state for summary in list_pipelines(session)] == [PipelineState.CANDIDATE] * 3
        pipelines.set_alias(session, "production", ids[0])
        retire(session, ids[2], actor="ada@lab")
    laboratory.pending(2, pipeline_id=ids[1])
    (leased, *_) = laboratory.leased(1)
    laboratory.begin(leased)
    laboratory.finish(leased)
    with laboratory.sessions() as session:
        rows = list_pipelines(session)
    assert [(row.name, row.code_version, row.state, row.results) for row in rows] == [
        ("old", "1", PipelineState.PRODUCTION, 0),
        ("new", "2", PipelineState.CANDIDATE, 1),
        ("bad", "2", PipelineState.RETIRED, 0),
    ]
    assert [row.differences for row in rows] == [[], [Difference("models.router", "aa", "cc")], []]
