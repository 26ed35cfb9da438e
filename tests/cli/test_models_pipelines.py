"""``karyo models``: the life of a pipeline on a real database."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import pytest

from db import audit, pipelines, schedules, workers
from db import pipeline_lifecycle as lifecycle
from db.engine import SessionFactory
from karyotyping.pipeline import Pipeline as RunnablePipeline
from models import registry
from tests.support.command_line import Karyo


def pipelines_of(karyo: Karyo) -> dict[str, Any]:
    """Return what ``karyo models list`` shows, by name."""
    return {row["name"]: row for row in json.loads(karyo("models", "list", "--json")[0])}


def test_register_prints_the_pipeline_once_and_promotes_nothing(karyo: Karyo) -> None:
    digest = RunnablePipeline.default().digest
    for _ in range(2):
        assert karyo("models", "register")[0].split() == ["name", "digest", "id", "embedding", digest, "1"]
    karyo("models", "register", "--classifier", "geometric", "--name", "bands")
    listed = pipelines_of(karyo)
    assert {name: row["state"] for name, row in listed.items()} == {"embedding": "candidate", "bands": "candidate"}
    stored = listed["bands"]
    assert stored["digest"] != RunnablePipeline.default().digest
    assert (stored["code_version"], stored["results"], stored["differences"]) == (version("karyoflow"), 0, [])


@pytest.mark.parametrize("name", ["production", "abcdef12", "with space", "-x", ""])
def test_names_that_mean_something_else_are_refused(karyo: Karyo, name: str) -> None:
    assert "Invalid value" in karyo("models", "register", f"--name={name}", code=2)[1]


def test_list_shows_differences_from_production_with_dotted_keys(karyo: Karyo) -> None:
    karyo("models", "promote")
    karyo("models", "register", "--segmenter", "geometric")
    segmenter = registry.resolve("segmenter").sha256
    row = pipelines_of(karyo)["embedding-geometric-segmenter"]
    assert row["differences"] == [
        {"key": "models.segmenter", "old": segmenter, "new": "absent"},
        {"key": "parameters.segmenter", "old": "network", "new": "geometric"},
    ]
    table = karyo("models", "list")[0]
    assert f"models.segmenter: {segmenter[:12]} -> absent" in table
    assert "parameters.segmenter: network -> geometric" in table
    assert karyo("models", "pipelines")[0] == table


def test_compare_prints_differences_and_agreement(karyo: Karyo) -> None:
    karyo("models", "promote")
    karyo("models", "register", "--classifier", "geometric")
    compared = json.loads(karyo("models", "compare", "production", "geometric", "--json")[0])
    assert [end["name"] for end in compared["pipelines"]] == ["embedding", "geometric"]
    keys = [difference["key"] for difference in compared["differences"]]
    assert keys == ["models.embedder", "name", "parameters.classifier"]
    assert set(compared["agreement"].values()) == {0}
    text = karyo("models", "compare", "production", "geometric")[0]
    assert "parameters.classifier: embedding -> geometric" in text
    assert "images, karyotype" in text
    assert "do not differ" in karyo("models", "compare", "embedding", "embedding")[0]


def test_promote_without_a_name_registers_and_promotes_the_shipped_pipeline(karyo: Karyo) -> None:
    assert "pipeline 1, embedding (" in karyo("models", "promote")[1]
    text = karyo("models", "promote", "--classifier", "geometric")[1]
    assert "pipeline 2, geometric (" in text
    assert "is production; before it was 1, embedding (" in text
    assert "production already" in karyo("models", "promote", "--classifier", "geometric")[1]


def test_promote_takes_a_name_or_a_digest_and_records_who_and_why(
    karyo: Karyo, session_factory: SessionFactory
) -> None:
    karyo("models", "promote")
    digest = karyo("models", "register", "--name", "next")[0].split()[4]
    karyo("models", "promote", "next", "--because", "fewer missed overlaps")
    assert pipelines_of(karyo)["next"]["state"] == "production"
    karyo("models", "promote", "embedding")
    karyo("models", "promote", digest[:6])
    with session_factory() as session:
        events = audit.list_events(session, lifecycle.PROMOTED)
    assert [(event.detail["name"], event.detail["because"]) for event in events] == [
        ("embedding", None),
        ("next", "fewer missed overlaps"),
        ("embedding", None),
        ("next", None),
    ]
    assert all("@" in event.actor for event in events)


def test_unknown_and_ambiguous_names_list_candidates(karyo: Karyo, session_factory: SessionFactory) -> None:
    karyo("models", "promote")
    with session_factory.begin() as session:
        for ending in "ab":
            document = {"name": "twin", "code_version": "0", "models": {}, "parameters": {"ending": ending}}
            pipelines.register(session, document, "0123456789" + ending * 54)
    for words in (["promote", "absent"], ["retire", "absent"], ["compare", "absent", "production"]):
        text = karyo("models", *words, code=1)[1]
        assert "there is no pipeline 'absent'; there are: production, twin (0123456789bb)" in text
    assert "2 pipelines have the name 'twin'; give the first characters of a digest: twin (0123456789bb" in karyo(
        "models", "promote", "twin", code=1
    )[1].replace("\n", " ")
    assert "2 pipelines have a digest that starts with 012345; give more of it" in karyo(
        "models", "promote", "012345", code=1
    )[1].replace("\n", " ")
    assert "leave it out" in karyo("models", "promote", "twin", "--classifier", "geometric", code=2)[1]


def test_promote_warns_unless_a_live_worker_can_run_the_pipeline(karyo: Karyo, session_factory: SessionFactory) -> None:
    assert "warning: no live worker can run it" in karyo("models", "promote")[1]
    with session_factory.begin() as session:
        installation = workers.Installation(version("karyoflow"), registry.digests())
        workers.record_heartbeat(session, "w1", 1, installation)
        pipelines.register(session, {"name": "old", "code_version": "0", "models": {}}, "f" * 64)
    assert "warning" not in karyo("models", "promote")[1]
    assert "this installation cannot either: pipeline old was made by karyoflow 0" in karyo("models", "promote", "old")[
        1
    ].replace("\n", " ")


def test_rollback_twice_goes_back_two_promotions(karyo: Karyo) -> None:
    assert "no other pipeline was in production before" in karyo("models", "rollback", code=1)[1]
    karyo("models", "promote")
    for name in ("second", "third"):
        karyo("models", "register", "--name", name)
        karyo("models", "promote", name)
    first = karyo("models", "rollback", "--because", "count of 45 in every case")[1]
    assert "pipeline 2, second (" in first
    assert "is production; before it was 3, third (" in first
    assert "pipeline 1, embedding (" in karyo("models", "rollback")[1]
    assert "no other pipeline was in production before" in karyo("models", "rollback", code=1)[1]
    assert pipelines_of(karyo)["embedding"]["state"] == "production"


def test_retired_pipelines_are_refused_by_name_and_can_return(karyo: Karyo, session_factory: SessionFactory) -> None:
    karyo("models", "promote")
    karyo("models", "register", "--classifier", "geometric")
    assert "is in production; promote another one first" in karyo("models", "retire", "embedding", code=1)[1]
    with session_factory.begin() as session:
        schedules.add(session, "nightly", "0 2 * * *", pipeline="geometric", filters={})
    assert "is what schedule 'nightly' runs" in karyo("models", "retire", "geometric", code=1)[1].replace("\n", " ")
    karyo("schedule", "disable", "nightly")
    assert "pipeline 2, geometric (" in karyo("models", "retire", "geometric", "--because", "obsolete")[1]

    assert pipelines_of(karyo)["geometric"]["state"] == "retired"
    (schedule,) = json.loads(karyo("schedule", "list", "--json")[0])
    assert "is retired since" in schedule["problem"]
    assert "is retired since" in karyo("schedule", "enable", "nightly")[1]
    assert "is retired since" in karyo("campaign", "create", "--pipeline", "geometric", code=2)[1]
    for words in (["promote", "geometric"], ["promote", "--classifier", "geometric"]):
        assert "is retired since" in karyo("models", *words, code=1)[1]
    assert "is retired since" in karyo("models", "register", "--classifier", "geometric")[1]

    compared = json.loads(karyo("models", "compare", "geometric", "production", "--json")[0])
    assert [end["name"] for end in compared["pipelines"]] == ["geometric", "embedding"]
    assert "can be chosen again" in karyo("models", "retire", "geometric", "--undo")[1]
    karyo("models", "promote", "geometric")


def test_a_name_works_while_one_pipeline_with_it_is_not_retired(karyo: Karyo, session_factory: SessionFactory) -> None:
    karyo("models", "promote")
    with session_factory.begin() as session:
        document = {"name": "embedding", "code_version": "0", "models": {}, "parameters": {}}
        pipelines.register(session, document, "e" * 64)
    assert "2 pipelines have the name 'embedding'" in karyo("models", "promote", "embedding", code=1)[1]
    karyo("models", "retire", "eeeeee")
    assert "production already" in karyo("models", "promote", "embedding")[1]


def test_networks_are_listed(karyo: Karyo) -> None:
    assert [row["name"] for row in json.loads(karyo("models", "networks", "--json")[0])] == registry.available()
