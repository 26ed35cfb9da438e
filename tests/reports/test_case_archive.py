"""A case goes from one installation to another: two databases, two object stores."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from db import audit, erasure
from db.engine import SessionFactory, make_engine, make_sessions
from db.migrate import upgrade
from db.schema import Analysis, Case, CaseResult, Chromosome, Image, IngestBatch, Pipeline, Review, SignOff
from karyotyping.review import Correction
from karyotyping.review.corrections import Comment, Flip, Reclassify
from models.registry import digest
from reports.case_archive.archive import ArchiveError, open_archive
from reports.case_archive.rows import read_rows
from reports.case_archive.transfer import Imported, export_case, import_case
from reviews import correct, find_altered, read_case, sign, undo
from storage import DirectoryStore, ObjectMissing, key_of, sha256_of
from tests.support.reviewed import ReviewLaboratory, store_objects

MAX_BYTES = 10**6
SIGNED = "signed"


class Installation:
    """A database and an object store with cases of finished analyses."""

    def __init__(self, sessions: SessionFactory, folder: Path) -> None:
        self.sessions = sessions
        self.store = DirectoryStore(folder)
        self.laboratory = ReviewLaboratory(sessions)
        with sessions.begin() as session:  # an archive is refused if a pipeline has another digest than its document
            for row in session.scalars(select(Pipeline)):
                row.digest = digest(row.document)

    def correct(self, analysis_id: int, correction: Correction) -> int:
        with self.sessions.begin() as session:
            return correct(session, analysis_id, correction, reviewer="Ada", actor="ada@lab").review.id

    def sign(self, accession: str = "A-1") -> None:
        with self.sessions.begin() as session:
            case = session.scalars(select(Case).where(Case.accession == accession)).one()
            sign(session, case, reader="Ada", actor="ada@lab", required=1, karyotype="46,XX")

    def export(self, path: Path, accession: str = "A-1", pseudonym: str | None = None) -> None:
        with self.sessions.begin() as session:
            case = session.scalars(select(Case).where(Case.accession == accession)).one()
            export_case(session, self.store, case, path, actor="ada@lab", pseudonym=pseudonym)

    def take(self, path: Path) -> Imported:
        with open_archive(path, MAX_BYTES) as archive:
            return import_case(self.sessions, self.store, archive, actor="bob@lab")

    def rows(self, accession: str = "A-1") -> dict[str, Any]:
        with self.sessions() as session:
            return read_rows(session, session.scalars(select(Case.id).where(Case.accession == accession)).one())

    def count(self, table: type[Any]) -> int:
        with self.sessions() as session:
            return session.scalars(select(func.count()).select_from(table)).one()

    def is_intact(self) -> bool:
        with self.sessions() as session:
            return audit.verify(session).broken is None and not list(find_altered(session))


@pytest.fixture
def here(session_factory: SessionFactory, tmp_path: Path) -> Installation:
    """Installation with the signed case A-1 of two cells."""
    installation = Installation(session_factory, tmp_path / "here")
    cell, other = installation.laboratory.case("A-1", cells=2)
    store_objects(session_factory, installation.store)
    with session_factory.begin() as session:
        session.execute(update(Image).where(Image.id == 1).values(file_name="A-1_cell 1.tif"))
        values = {"state": "done", "summary": {"ranking": [other, cell], "clones": [{"cells": [cell], "exact": []}]}}
        session.execute(update(CaseResult).values(values))
    installation.correct(cell, Comment(text="Of A-1, a marker?"))
    first = installation.correct(cell, Flip(chromosome=1))
    with session_factory.begin() as session:
        undo(session, first, reviewer="Ada", actor="ada@lab")
    installation.correct(other, Reclassify(chromosome=0, class_id=1))
    installation.sign()
    return installation


@pytest.fixture
def there(empty_postgres_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Another installation, whose numbers differ, with the case X-9."""
    upgrade(empty_postgres_url)
    engine = make_engine(empty_postgres_url)
    installation = Installation(make_sessions(engine), tmp_path / "there")
    cells = installation.laboratory.case("X-9", cells=3)
    installation.correct(cells[0], Flip(chromosome=5))
    installation.sign("X-9")
    yield installation
    engine.dispose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "case.zip"


def test_a_case_is_the_same_in_the_other_installation(here: Installation, there: Installation, file: Path) -> None:
    here.export(file)
    assert there.take(file) == Imported("A-1", is_new=True)
    assert there.rows() == here.rows()
    assert there.is_intact()
    for key in list(here.store.keys()):
        assert there.store.get(key) == here.store.get(key)
    with there.sessions() as session:
        case = session.scalars(select(Case).where(Case.accession == "A-1")).one()
        review = read_case(session, case)
        summary = session.scalars(select(CaseResult.summary).where(CaseResult.case_id == case.id)).one()
        batch = session.scalars(select(IngestBatch)).one()
    assert review.sign_off is not None
    assert (review.state, review.sign_off.iscn) == (SIGNED, "46,XX")
    assert review.analysis_ids == [4, 5]
    assert summary is not None
    assert sorted(summary["ranking"]) == [4, 5]
    assert (batch.new_count, batch.finished_at is not None) == (2, True)
    assert [event.action for event in events(there)[-6:]] == ["review.recorded"] * 4 + ["case.signed", "case.imported"]


def events(installation: Installation) -> list[Any]:
    with installation.sessions() as session:
        return list(reversed(audit.list_last(session, 99)))


def test_an_imported_case_can_be_worked_on_and_erased(here: Installation, there: Installation, file: Path) -> None:
    here.export(file)
    there.take(file)
    with there.sessions() as session:
        last = session.scalars(select(func.max(Review.id))).one()
    with there.sessions.begin() as session:
        undo(session, last, reviewer="Bob", actor="bob@lab")
    there.sign()
    assert there.is_intact()
    with there.sessions.begin() as session:
        assert erasure.erase(session, "A-1", actor="bob@lab", because="withdrawn")
    assert there.is_intact()
    assert there.take(file).is_new
    assert there.is_intact()


def test_a_repeated_import_changes_nothing(here: Installation, there: Installation, file: Path) -> None:
    here.export(file)
    there.take(file)
    before = len(events(there))
    assert there.take(file) == Imported("A-1", is_new=False)
    assert len(events(there)) == before
    assert (there.count(Image), there.count(Chromosome), there.count(IngestBatch)) == (5, 5 * 46, 1)
    assert here.take(file) == Imported("A-1", is_new=False)


def test_another_content_is_refused(here: Installation, there: Installation, file: Path) -> None:
    here.export(file)
    there.laboratory.case("A-1", cells=1)
    with pytest.raises(ArchiveError, match="case 'A-1' is there with other content"):
        there.take(file)
    assert (there.count(SignOff), there.count(IngestBatch), list(there.store.keys())) == (1, 0, [])


def test_an_image_of_another_case_is_refused(here: Installation, there: Installation, file: Path) -> None:
    here.export(file)
    there.laboratory.laboratory.images(1, "B-2", sha256=here.rows()["images"][0]["sha256"])
    with pytest.raises(ArchiveError, match="belongs to case 'B-2' here"):
        there.take(file)
    assert there.count(SignOff) == 1


def test_a_pseudonym_replaces_the_accession_number(here: Installation, there: Installation, file: Path) -> None:
    here.export(file, pseudonym="P-1")
    with zipfile.ZipFile(file) as archive:
        assert b"A-1" not in b"".join(map(archive.read, archive.namelist()))
    assert there.take(file).accession == "P-1"
    rows = there.rows("P-1")
    assert {row["file_name"] for row in rows["images"]} >= {"P-1_cell 1.tif"}
    assert {name for row in rows["analyses"] for name in row["artefacts"]} == {"overlay"}
    assert there.is_intact()
    with pytest.raises(ArchiveError, match="belongs to case 'A-1' here"):
        here.take(file)


def test_analyses_that_have_not_ended_are_left_out(here: Installation, there: Installation, file: Path) -> None:
    laboratory = here.laboratory.laboratory
    laboratory.pending(1, "A-1", pipeline_id=here.laboratory.pipeline)
    with here.sessions.begin() as session:
        image = session.scalars(select(Image).order_by(Image.id.desc())).first()
        assert image is not None
        image.object_key = here.store.put(b"waits")
        image.sha256 = sha256_of(image.object_key)
    here.export(file)
    there.take(file)
    assert (there.count(Image), there.count(Analysis)) == (6, 5)


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def change_manifest(archive: dict[str, bytes], /, **values: Any) -> None:
    archive["manifest.json"] = json.dumps(json.loads(archive["manifest.json"]) | values).encode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files: change_manifest(files, version=2), "the archive has version 2"),
        (lambda files: change_manifest(files, format="other"), "no archive of a case"),
        (lambda files: change_manifest(files, files={}), "or damaged"),
        (lambda files: files.pop("manifest.json"), "or damaged"),
        (lambda files: files.pop("case.json"), "or damaged"),
        (lambda files: files.pop(f"objects/{key_of(b'image 1')}"), "or damaged"),
        (lambda files: files.update({f"objects/{key_of(b'image 1')}": b"image 9"}), "damaged at"),
        (lambda files: files.update({"case.json": files["case.json"].replace(b"46,XX", b"46,XY")}), "damaged at"),
        (lambda files: files.update({"case.json": b"{}"}), "damaged at"),
    ],
)
def test_a_damaged_archive_is_refused(
    here: Installation, file: Path, change: Callable[[dict[str, bytes]], None], sentence: str
) -> None:
    here.export(file)
    rewrite(file, change)
    with pytest.raises(ArchiveError, match=sentence):
        here.take(file)
    assert here.count(IngestBatch) == 0


def test_an_object_that_is_too_large_is_refused(here: Installation, file: Path) -> None:
    here.export(file)
    with pytest.raises(ArchiveError, match="larger than KARYO_MAX_IMAGE_BYTES allows"), open_archive(file, 8):
        pass


@pytest.mark.parametrize("kept", [0, 100, 4000])
def test_a_truncated_file_is_refused(here: Installation, file: Path, kept: int) -> None:
    here.export(file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ArchiveError, match="no archive of a case, or damaged"):
        here.take(file)


def test_rows_that_do_not_fit_together_are_refused(here: Installation, there: Installation, file: Path) -> None:
    here.export(file)

    def change(files: dict[str, bytes]) -> None:
        document = json.loads(files["case.json"])
        document["analyses"][0]["state"] = "dreaming"
        files["case.json"] = json.dumps(document).encode()
        listed = json.loads(files["manifest.json"])["files"]
        listed["case.json"] = {
            "sha256": hashlib.sha256(files["case.json"]).hexdigest(), "bytes": len(files["case.json"]),
        }  # fmt: skip
        change_manifest(files, files=listed)

    rewrite(file, change)
    with pytest.raises(ArchiveError, match="do not fit together"):
        there.take(file)
    assert (there.count(Case), there.count(IngestBatch)) == (1, 0)


def test_a_missing_object_leaves_the_earlier_archive(here: Installation, file: Path) -> None:
    file.write_bytes(b"earlier")
    here.store.delete(key_of(b"image 1"))
    with pytest.raises(ObjectMissing):
        here.export(file)
    assert file.read_bytes() == b"earlier"
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == ["case.zip"]
