"""``karyo case`` on a real database and object store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url

from db.engine import SessionFactory
from db.schema import Case, DiscardedObject, Pipeline
from karyotyping.review.corrections import Flip
from models.registry import digest
from reviews import correct, sign
from storage import DirectoryStore, key_of
from tests.support.command_line import Karyo
from tests.support.reviewed import ReviewLaboratory, store_objects

WHY = ("--because", "consent withdrawn")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


@pytest.fixture
def laboratory(session_factory: SessionFactory, store: DirectoryStore) -> ReviewLaboratory:
    """Two signed cases of two cells, A-1 and B-2, with their objects."""
    laboratory = ReviewLaboratory(session_factory)
    for accession in ("A-1", "B-2"):
        cells = laboratory.case(accession, cells=2)
        store_objects(session_factory, store)
        with session_factory.begin() as session:
            correct(session, cells[0], Flip(chromosome=1), reviewer="Ada", actor="ada@lab")
            case = session.scalars(select(Case).where(Case.accession == accession)).one()
            sign(session, case, reader="Ada", actor="ada@lab", required=1, karyotype="46,XX")
    return laboratory


def accessions(laboratory: ReviewLaboratory) -> list[str]:
    with laboratory.sessions() as session:
        return list(session.scalars(select(Case.accession).order_by(Case.accession)))


def pending(laboratory: ReviewLaboratory) -> int:
    with laboratory.sessions() as session:
        return session.scalars(select(func.count()).select_from(DiscardedObject)).one()


def test_a_case_is_erased_everywhere(karyo: Karyo, laboratory: ReviewLaboratory, store: DirectoryStore) -> None:
    head = karyo("audit", "verify")[0].strip()
    assert "A-1" in karyo("report", "case_runs", "--refresh", "--json")[0]
    out, err = karyo("case", "erase", "A-1", *WHY)
    assert "nothing is erased yet; repeat with --yes" in err
    assert "chromosomes" in out
    assert (accessions(laboratory), len(list(store.keys()))) == (["A-1", "B-2"], 12)
    done = json.loads(karyo("case", "erase", "A-1", *WHY, "--yes", "--json")[0])
    assert (done["erased"], done["removed"], done["rows"]["reviews"], done["events"]) == (True, 6, 1, 2)
    assert (accessions(laboratory), len(list(store.keys()))) == (["B-2"], 6)
    runs = karyo("report", "case_runs", "--json")[0]
    assert "B-2" in runs
    assert "A-1" not in runs
    karyo("audit", "verify", "--head", head)
    (event,) = json.loads(karyo("audit", "list", "--action", "case.erased", "--json")[0])
    assert event["detail"]["because"] == "consent withdrawn"
    assert "A-1" not in json.dumps(event)
    assert "A-1" not in karyo("audit", "list", "--json")[0]
    assert "there is no case 'A-1'" in karyo("case", "erase", "A-1", *WHY, "--yes", code=1)[1]
    assert "signed" in karyo("review", "show", "B-2")[1]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("A-9", *WHY), 1, "there is no case 'A-9'"),
        (("A-1", "--yes"), 2, "Missing option '--because'"),
        (("A-1", "--because", "a-1 withdrew", "--yes"), 2, "the reason names the case"),
        (("A-1", "--because", " ", "--yes"), 2, "an erasure needs a reason"),
    ],
)
def test_a_refused_erasure_is_a_sentence(
    karyo: Karyo, laboratory: ReviewLaboratory, words: tuple[str, ...], code: int, sentence: str
) -> None:
    assert sentence in karyo("case", "erase", *words, code=code)[1]
    assert accessions(laboratory) == ["A-1", "B-2"]


@pytest.mark.parametrize(("step", "left"), [("erased", 6), ("object_deleted", 5)])
def test_an_erasure_that_was_killed_is_completed_by_the_next(
    karyo: Karyo, laboratory: ReviewLaboratory, store: DirectoryStore, step: str, left: int
) -> None:
    command = [sys.executable, "-m", "cli.main", "case", "erase", "A-1", *WHY, "--yes"]
    done = subprocess.run(command, env={**os.environ, "KARYO_FAILPOINT": step}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (accessions(laboratory), len(list(store.keys())), pending(laboratory)) == (["B-2"], 6 + left, 6)
    assert "an interrupted erasure is complete" in karyo("case", "erase", "A-1", *WHY, "--yes")[1]
    assert (len(list(store.keys())), pending(laboratory)) == (6, 0)
    karyo("audit", "verify")


def test_a_store_that_fails_leaves_its_objects_for_the_next_erasure(
    karyo: Karyo, laboratory: ReviewLaboratory, store: DirectoryStore, tmp_path: Path
) -> None:
    path = tmp_path / key_of(b"image 1")
    path.unlink()
    path.mkdir()  # no file, so the store cannot delete it
    err = karyo("case", "erase", "A-1", *WHY, "--yes", code=1)[1]
    assert "the rows are erased, and " in err
    assert "Check the free space and the permissions of the object store" in err
    path.rmdir()
    karyo("case", "erase", "A-1", *WHY, "--yes")
    assert (accessions(laboratory), len(list(store.keys())), pending(laboratory)) == (["B-2"], 6, 0)


def test_a_case_that_is_worked_on_all_the_time_is_not_erased(
    karyo: Karyo, laboratory: ReviewLaboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARYO_LEASE_SECONDS", "1")
    with laboratory.sessions.begin() as session:
        session.execute(select(Case).with_for_update(key_share=True))
        err = karyo("case", "erase", "A-1", *WHY, "--yes", code=1)[1]
    assert "nothing is erased, repeat this command" in err
    assert accessions(laboratory) == ["A-1", "B-2"]


def test_a_user_of_the_database_without_rights_erases_nothing(
    karyo: Karyo,
    laboratory: ReviewLaboratory,
    store: DirectoryStore,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with laboratory.sessions.begin() as session:
        session.execute(text("CREATE ROLE reader_of_cases LOGIN PASSWORD 'of-the-tests'"))
        session.execute(text("GRANT USAGE ON SCHEMA karyo, reporting TO reader_of_cases"))
        session.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA karyo TO reader_of_cases"))
    try:
        url = make_url(postgres_url).set(username="reader_of_cases", password="of-the-tests")
        monkeypatch.setenv("KARYO_DATABASE_URL", url.render_as_string(hide_password=False))
        err = karyo("case", "erase", "A-1", *WHY, "--yes", code=2)[1]
    finally:
        with laboratory.sessions.begin() as session:
            session.execute(text("DROP OWNED BY reader_of_cases"))
            session.execute(text("DROP ROLE reader_of_cases"))
    assert "permission denied for table cases" in err
    assert accessions(laboratory) == ["A-1", "B-2"]


def test_a_case_is_exported_erased_and_imported(
    karyo: Karyo, laboratory: ReviewLaboratory, store: DirectoryStore, tmp_path: Path
) -> None:
    with laboratory.sessions.begin() as session:
        for pipeline in session.scalars(select(Pipeline)):
            pipeline.digest = digest(pipeline.document)
    file = tmp_path / "case.zip"
    assert "case A-1, 2 images, 2 analyses, 1 reviews, 1 sign-offs" in karyo("case", "export", "A-1", "--to", file)[1]
    assert "was there already, with the same content" in karyo("case", "import", file)[1]
    karyo("case", "erase", "A-1", *WHY, "--yes")
    assert json.loads(karyo("case", "import", file, "--json")[0]) == {"accession": "A-1", "is_new": True}
    assert len(list(store.keys())) == 12
    karyo("audit", "verify")
    assert "signed" in karyo("review", "show", "A-1")[1]
    err = karyo("case", "export", "A-1", "--to", file, "--pseudonym", " P 7 ")[1]
    assert "case P 7, 2 images" in err
    assert "look for names in their pixels and metadata" in err
    assert "belongs to case 'A-1' here" in karyo("case", "import", file, code=1)[1]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("export", "A-9", "--to", "/dev/null"), 1, "there is no case 'A-9'"),
        (("export", "A-1"), 2, "Missing option '--to'"),
        (("export", "A-1", "--to", "none/x.zip"), 2, "there is no folder"),
        (("export", "A-1", "--to", "/dev/null", "--pseudonym", " "), 2, "--pseudonym is empty"),
        (("import", "none.zip"), 2, "cannot use none.zip: No such file or directory"),
        (("import", "pyproject.toml"), 1, "pyproject.toml is no archive of a case, or damaged; export the case again"),
    ],
)
def test_a_refused_transfer_is_a_sentence(
    karyo: Karyo, laboratory: ReviewLaboratory, words: tuple[str, ...], code: int, sentence: str
) -> None:
    assert sentence in karyo("case", *words, code=code)[1]
    assert accessions(laboratory) == ["A-1", "B-2"]
