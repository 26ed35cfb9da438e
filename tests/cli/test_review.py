"""``karyo review`` and ``karyo audit`` on a real database."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image as PillowImage
from sqlalchemy import update

from db.engine import SessionFactory
from db.schema import Image
from storage import DirectoryStore
from tests.support.command_line import Karyo
from tests.support.reviewed import FEMALE, HEIGHT, WIDTH, ReviewLaboratory


@pytest.fixture
def laboratory(session_factory: SessionFactory) -> ReviewLaboratory:
    return ReviewLaboratory(session_factory)


def as_json(karyo: Karyo, *words: object) -> Any:
    return json.loads(karyo(*words, "--json")[0])


def test_a_case_is_corrected_signed_and_reported(karyo: Karyo, laboratory: ReviewLaboratory) -> None:
    classes = [*FEMALE[:40], 22, *FEMALE[41:]]
    ids = laboratory.case("A-1", classes=classes)
    for analysis_id in ids:
        err = karyo("review", "reclassify", analysis_id, 40, 21, "--as", "Ada", "--because", "bands")[1]
        assert "in case A-1: chromosome 40 is 21; 46,XX,-21,+22 -> 46,XX" in err
    out, err = karyo("review", "show", "A-1")
    assert out.count("chromosome 40 is 21") == 3
    assert "not resolved; +22 in 3 cells" in err
    assert "corrected: 46,XX; 3 of 3 cells are complete and fit 46,XX" in err
    assert "not signed" in err
    assert "another person signs it next" in karyo("review", "sign", "A-1", "--as", "Ada")[1]
    assert "Ada has signed case A-1 already" in karyo("review", "sign", "A-1", "--as", "ada", code=1)[1]
    assert "case A-1 is signed: 46,XX, by Ada and Bob" in karyo("review", "sign", "A-1", "--as", "Bob")[1]
    shown = as_json(karyo, "review", "show", "A-1")
    assert (shown["state"], shown["before"]["iscn"], shown["after"]["iscn"]) == ("signed", None, "46,XX")
    assert shown["sign_off"]["first_reader"] == "Ada"
    assert shown["last_review"] == shown["sign_off"]["last_review"] == 3
    (row,) = as_json(karyo, "report", "signed_results")
    assert (row["accession"], row["state"], row["iscn"]) == ("A-1", "signed", "46,XX")
    err = karyo("review", "reject", ids[0], "--cell", "--as", "Cleo")[1]
    assert "case A-1 was signed by Bob and is open again; `karyo review sign A-1` signs it" in err
    assert "open again, as it was corrected" in karyo("review", "show", "A-1")[1]


def test_every_correction_has_a_command(karyo: Karyo, laboratory: ReviewLaboratory) -> None:
    (cell, other) = laboratory.case("A-1", cells=2)
    halves = ["--part", "box:0,0,640,30=1", "--part", "polygon:0,30 640,30 640,60 0,60"]
    split = as_json(karyo, "review", "split", cell, 0, *halves, "--as", "Ada")
    assert (split["chromosomes_made"], split["iscn_after"]) == ([46, 47], "47,XX,inc")
    merged = as_json(karyo, "review", "merge", cell, 46, 47, "--class", "1")
    assert (merged["chromosomes_made"], merged["iscn_after"]) == ([48], "46,XX")
    assert as_json(karyo, "review", "flip", cell, 3)["detail"] == {"chromosome": 3}
    added = as_json(karyo, "review", "add", cell, "box:600,400,10,40=x")
    assert (added["chromosomes_made"], added["iscn_after"]) == ([49], "47,XXX")
    undone = as_json(karyo, "review", "undo", added["review"])
    assert undone["iscn_after"] == "46,XX"
    karyo("review", "comment", cell, "a [bold] marker?")
    assert as_json(karyo, "review", "reject", other, 45)["iscn_after"] == "45,X"
    listed = as_json(karyo, "review", "list", "A-1")
    assert [row["state"] for row in listed] == [*["in force"] * 3, "undone", "in force", "comment", "in force"]
    assert listed[5]["what"] == "a [bold] marker?"
    assert "chromosome 0 is 2: 1, ?" in karyo("review", "list", "A-1")[0]
    chromosomes = as_json(karyo, "review", "show", "A-1", "--cell", cell)
    assert [row["chromosome"] for row in chromosomes] == [*range(1, 46), 48]
    assert [row["chromosome"] for row in chromosomes if row["corrected"]] == [3, 48]
    assert "48" in karyo("review", "show", "A-1", "--cell", cell)[0]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["list", "B-9"], 1, "there is no case 'B-9'; `karyo report case_status` lists the cases"),
        (["show", "A-1", "--cell", "99"], 1, "case A-1 has no cell 99 of this pipeline; it has: 1"),
        (["show", "A-1", "--pipeline", "nothing"], 1, "there is no pipeline 'nothing'"),
        (["flip", "1", "77"], 1, "there is no chromosome 77 in this cell"),
        (["flip", "9", "1"], 1, "there is no analysis 9; `karyo review show CASE` lists those of a case"),
        (["flip", "1", "1", "--expect", "5"], 1, "analysis 1 has no review, and not 5 as its last"),
        (["flip", "1", "1", "--as", " "], 1, "a reviewer has a name"),
        (["undo", "5"], 1, "there is no review 5"),
        (["reject", "1"], 2, "name a CHROMOSOME, or leave the whole cell out with --cell"),
        (["reject", "1", "2", "--cell"], 2, "name a CHROMOSOME"),
        (["reclassify", "1", "1", "25"], 2, "'25' is none of 1 to 22, X, Y and ?"),
        (["reclassify", "1", "-1", "21"], 2, "No such option"),
        (["split", "1", "1", "--part", "box:1,2,3,4"], 2, "parts: Tuple should have at least 2 items"),
        (["merge", "1", "3"], 2, "chromosomes: Tuple should have at least 2 items"),
        (["merge", "1", "3", "3"], 2, "chromosomes: a chromosome is named twice"),
        (["add", "1", "circle:1,2,3"], 2, "is neither box:X,Y,WIDTH,HEIGHT nor polygon"),
        (["add", "1", "box:1,2,3"], 2, "is neither box"),
        (["add", "1", "box:1.5,2,3,4"], 2, "x: Input should be a valid integer"),
        (["add", "1", "polygon:1,2 3,4"], 2, "is neither box"),
        (["add", "1", "box:9000,2,30,40"], 1, "fewer than 12 pixels of the image"),
        (["comment", "1", ""], 2, "text: String should have at least 1 character"),
        (["sign", "A-1", "--iscn", " "], 1, "a karyotype has 1 to 1000 characters"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    karyo: Karyo, laboratory: ReviewLaboratory, words: list[str], code: int, sentence: str
) -> None:
    laboratory.case("A-1", cells=1)
    err = karyo("review", *words, code=code)[1]
    assert sentence in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert as_json(karyo, "review", "list", "A-1") == []


def test_one_reader_signs_if_the_policy_says_so(
    karyo: Karyo, laboratory: ReviewLaboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    laboratory.case("A-1")
    monkeypatch.setenv("KARYO_SIGN_OFF_READERS", "1")
    signed = as_json(karyo, "review", "sign", "A-1", "--as", "Ada", "--expect", 0)
    assert (signed["signed"], signed["iscn"], signed["required"]) == (True, "46,XX", 1)
    monkeypatch.setenv("KARYO_SIGN_OFF_READERS", "3")
    assert "KARYO_SIGN_OFF_READERS" in karyo("review", "sign", "A-1", code=2)[1]


def test_the_audit_trail_is_listed_and_verified(karyo: Karyo, laboratory: ReviewLaboratory, postgres_url: str) -> None:
    (cell,) = laboratory.case("A-1", cells=1)
    assert karyo("audit", "verify")[0].strip() == "none"
    karyo("review", "flip", cell, 1, "--as", "Ada")
    karyo("review", "comment", cell, "fine")
    noted = karyo("audit", "verify")[0].strip()
    karyo("review", "flip", cell, 1)
    assert as_json(karyo, "audit", "verify", "--head", noted) == {
        "intact": True,
        "count": 3,
        "head": as_json(karyo, "audit", "list")[0]["hash"],
        "broken": None,
        "has_anchor": True,
        "altered": [],
    }
    listed = as_json(karyo, "audit", "list", "--action", "review.", "--subject", "case:1", "--limit", 2)
    assert [event["detail"]["correction"] for event in listed] == ["flip", "comment"]
    assert "review.recorded" in karyo("audit", "list")[0]
    assert "--head wants the 64 hexadecimal digits" in karyo("audit", "verify", "--head", "abc", code=2)[1]
    assert "no event has the hash" in karyo("audit", "verify", "--head", "0" * 64, code=1)[1]
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("ALTER TABLE karyo.reviews DISABLE TRIGGER USER")
        connection.execute("UPDATE karyo.reviews SET reviewer = 'eve' WHERE id = 1")
    assert "these are not: review 1 differs from event 1" in karyo("audit", "verify", code=1)[1]
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("ALTER TABLE karyo.audit_events DISABLE TRIGGER USER")
        connection.execute("UPDATE karyo.audit_events SET actor = 'eve' WHERE id = 2")
    err = karyo("audit", "verify", code=1)[1]
    assert "the chain breaks at event 2: it was changed, or an event before it was removed" in err
    assert not json.loads(karyo("audit", "verify", "--json", code=1)[0])["intact"]


def test_signed_cases_leave_as_training_data(karyo: Karyo, laboratory: ReviewLaboratory, tmp_path: Path) -> None:
    laboratory.case("A-1", cells=1)
    out = tmp_path / "out"
    assert "no case is signed; `karyo review sign CASE`" in karyo("export", "training", out, code=1)[1]
    assert "there is no case 'B-2'" in karyo("export", "training", out, "--case", "B-2", code=1)[1]
    picture = io.BytesIO()
    PillowImage.linear_gradient("L").resize((WIDTH, HEIGHT)).save(picture, "PNG")
    store = DirectoryStore(tmp_path)
    with laboratory.sessions.begin() as session:
        session.execute(update(Image).values(object_key=store.put(picture.getvalue())))
    karyo("review", "sign", "A-1", "--as", "Ada")
    karyo("review", "sign", "A-1", "--as", "Bob")
    written = as_json(karyo, "export", "training", out)
    assert written == {"folder": str(out), "cases": 1, "cells": 1, "chromosomes": 46}
    assert {path.name for path in out.iterdir()} == {"coco.json", "images", "chromosomes.zip"}
    assert "is no empty folder; choose another one" in karyo("export", "training", out, code=1)[1]
    (event,) = as_json(karyo, "audit", "list", "--action", "training.")
    assert event["detail"] == {"cases": [1], "cells": 1, "chromosomes": 46}
