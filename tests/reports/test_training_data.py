"""Signed results as training data."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from pycocotools.coco import COCO
from sqlalchemy import text

from db.engine import SessionFactory
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.review.corrections import Add, Part, Reclassify, RejectCell
from karyotyping.review.regions import Box
from reports.folder import ReportFolderError
from reports.training_data import TrainingData, write_training_data
from storage import DirectoryStore
from tests.reviews.conftest import People
from tests.support.reviewed import HEIGHT, SIDE, WIDTH
from training.embedder.data import read_report
from training.evaluation.instances.matching import load


@pytest.fixture
def people(session_factory: SessionFactory) -> People:
    return People(session_factory)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "objects")


def give_pictures(people: People, store: DirectoryStore) -> None:
    """Store one picture for all images: dark bars, as the results say, with a band."""
    pixels = np.full((HEIGHT, WIDTH), 230, np.uint8)
    for number in range(46):
        x, y = 30 * (number % 20) + 5, 60 * (number // 20) + 10
        pixels[y : y + SIDE[1], x : x + SIDE[0]] = 60
        pixels[y + 8 : y + 14, x : x + SIDE[0]] = 150
    target = io.BytesIO()
    PillowImage.fromarray(pixels).save(target, "PNG")
    with people.sessions.begin() as session:
        session.execute(text("UPDATE karyo.images SET object_key = :key"), {"key": store.put(target.getvalue())})


def export(people: People, store: DirectoryStore, folder: Path, *accessions: str) -> TrainingData:
    with people.sessions() as session:
        return write_training_data(session, store, folder, accessions)


def test_signed_cells_are_written_with_their_provenance(people: People, store: DirectoryStore, tmp_path: Path) -> None:
    first, second, third = people.case("A-1")
    people.case("B-2")
    give_pictures(people, store)
    people.correct(first, Reclassify(chromosome=0, class_id=24), by="Cleo")
    people.correct(first, Reclassify(chromosome=1, class_id=None), by="Ada")
    people.correct(second, Add(part=Part(region=Box(x=600, y=400, width=20, height=60), class_id=7)))
    people.correct(third, RejectCell())
    people.sign("Ada", karyotype="46,XX")
    people.sign("Bob")
    data = export(people, store, tmp_path / "out")
    assert (data.case_ids, len(data.images), len(data.annotations)) == ([1], 2, 91)

    coco = COCO(tmp_path / "out" / "coco.json")
    image = coco.loadImgs([first])[0]
    assert image["pipeline_digest"] == people.read().pipeline.digest
    assert (image["case"], image["analysis"], image["reviewers"], image["readers"]) == (
        "A-1", first, ["Ada", "Cleo"], ["Ada", "Bob"],
    )  # fmt: skip
    with PillowImage.open(tmp_path / "out" / "images" / image["file_name"]) as picture:
        assert picture.size == (WIDTH, HEIGHT)
    changed = [item for item in coco.loadAnns(coco.getAnnIds([first])) if item["corrected"]]
    assert [(item["chromosome"], item["category_id"]) for item in changed] == [(0, 24)]
    assert coco.annToMask(changed[0]).sum() == changed[0]["area"] == SIDE[0] * SIDE[1]
    assert [len(coco.loadImgs([number])[0]["unlabelled"]) for number in (first, second)] == [1, 1]


def test_training_and_evaluation_read_what_was_written(people: People, store: DirectoryStore, tmp_path: Path) -> None:
    people.case("A-1", cells=3)
    give_pictures(people, store)
    people.sign("Ada", required=1)
    export(people, store, tmp_path / "out")
    chromosomes = read_report(tmp_path / "out" / "chromosomes.zip", tmp_path)
    assert len(chromosomes) == 3 * 46
    assert sorted(set(chromosomes.class_index.tolist())) == list(range(23))
    assert chromosomes.upright.all()
    with zipfile.ZipFile(tmp_path / "out" / "chromosomes.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), "utf-8")))
        assert {row["file"].partition("/")[0] for row in rows} == set(CLASS_NAMES) - {"Y"}
        assert {row["file"] for row in rows} <= set(archive.namelist())
    assert {(row["case"], row["readers"], row["corrected"]) for row in rows} == {("A-1", "Ada", "0")}
    (tmp_path / "none.json").write_text("[]")
    comparison = load(tmp_path / "out" / "coco.json", tmp_path / "none.json")
    assert comparison.classes == list(range(1, 24))
    assert [len(instances) for instances in comparison.truth] == [46, 46, 46]


def test_cases_that_are_not_signed_are_left_out(people: People, store: DirectoryStore, tmp_path: Path) -> None:
    (analysis_id, *_) = people.case("A-1")
    people.case("B-2")
    give_pictures(people, store)
    people.sign("Ada", "A-1")
    assert export(people, store, tmp_path / "out").case_ids == []
    assert not (tmp_path / "out").exists()
    people.sign("Bob", "A-1")
    people.sign("Bob", "B-2", required=1)
    assert export(people, store, tmp_path / "one", "B-2").case_ids == [2]
    people.correct(analysis_id, Reclassify(chromosome=0, class_id=2))
    assert export(people, store, tmp_path / "two").case_ids == [2]
    with pytest.raises(ReportFolderError, match="is no empty folder"):
        export(people, store, tmp_path / "two")
    assert json.loads((tmp_path / "two" / "coco.json").read_text())["categories"][23] == {"id": 24, "name": "Y"}
