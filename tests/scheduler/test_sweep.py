"""The sweep of the object store on a real database, a directory and S3."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from db import audit, erasure
from db.engine import SessionFactory
from db.schema import Analysis, Case, CaseResult, DiscardedObject, Image, IngestBatch
from scheduler.sweep import Amount, Sweep, SweepReport
from storage import DirectoryStore, ObjectStore, S3Store, sha256_of
from tests.support.reviewed import ReviewLaboratory, store_objects
from tests.support.s3 import bucket, moto_url, s3_client, s3_endpoint

__all__ = ["bucket", "moto_url", "s3_client", "s3_endpoint"]
DAY = timedelta(days=1)
NONE = timedelta(0)  # a grace period that spares nothing


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "objects")


@pytest.fixture
def laboratory(session_factory: SessionFactory, store: DirectoryStore) -> ReviewLaboratory:
    """Two cases of two cells, A-1 and B-2, with their objects."""
    return fill(session_factory, store)


def fill(sessions: SessionFactory, store: ObjectStore) -> ReviewLaboratory:
    laboratory = ReviewLaboratory(sessions)
    for accession in ("A-1", "B-2"):
        cells = laboratory.case(accession, cells=2)
        store_objects(sessions, store)
        with sessions.begin() as session:
            best = session.get_one(Analysis, cells[0])
            session.execute(
                update(CaseResult)
                .where(CaseResult.case_id == session.get_one(Image, best.image_id).case_id)
                .values(artefacts=best.artefacts)
            )
    return laboratory


def sweep(sessions: SessionFactory, store: ObjectStore, *, days: int | None = None, **how: object) -> SweepReport:
    policy = {} if days is None else {"overlay": days}
    settings: dict[str, object] = {"grace": DAY} | how
    return Sweep(sessions, store, policy, **settings).run("ada@lab")  # type: ignore[arg-type]


def age(store: DirectoryStore, key: str, days: float = 2) -> None:
    path = store.root / key
    moment = path.stat().st_mtime - days * 86400
    os.utime(path, (moment, moment))


def age_case(sessions: SessionFactory, accession: str, days: int) -> None:
    with sessions.begin() as session:
        of_case = select(Image.id).join(Case).where(Case.accession == accession)
        moment = text(f"now() - interval '{days} days'")
        session.execute(update(Analysis).where(Analysis.image_id.in_(of_case)).values(finished_at=moment))


def overlays(sessions: SessionFactory) -> list[bool]:
    with sessions() as session:
        found = session.scalars(select(Analysis.artefacts).order_by(Analysis.id)).all()
    return ["overlay" in (artefacts or {}) for artefacts in found]


def test_what_fits_is_counted_by_kind(laboratory: ReviewLaboratory, store: DirectoryStore) -> None:
    found = sweep(laboratory.sessions, store)
    assert {name: kind.stored for name, kind in found.kinds.items()} == {
        "original": Amount(4, 28), "karyogram": Amount(4, 44), "overlay": Amount(4, 36),
    }  # fmt: skip
    assert (found.orphans, found.young, found.missing_keys) == (Amount(), Amount(), [])


def test_orphans_are_reported_first_and_deleted_only_when_old(
    laboratory: ReviewLaboratory, store: DirectoryStore
) -> None:
    old, young = store.put(b"an old orphan"), store.put(b"just stored")
    age(store, old)
    for key in list(store.keys()):
        if key not in (young, old):
            age(store, key)
    for _ in range(2):
        found = sweep(laboratory.sessions, store)
        assert (found.orphans, found.young, found.deleted) == (Amount(1, 13), Amount(1, 11), 0)
    assert sweep(laboratory.sessions, store, delete=True).deleted == 1
    assert (store.has(old), store.has(young), len(list(store.keys()))) == (False, True, 13)
    assert sweep(laboratory.sessions, store, delete=True).deleted == 0
    with laboratory.sessions() as session:
        (event,) = audit.list_events(session, "storage.swept")
    assert event.detail == {"deleted": 1, "removed": {}}


def test_a_missing_object_is_named(laboratory: ReviewLaboratory, store: DirectoryStore) -> None:
    with laboratory.sessions() as session:
        key = session.scalars(select(Image.object_key).order_by(Image.id)).first()
        overlay = session.scalars(select(Analysis.artefacts).order_by(Analysis.id)).first()
    assert key is not None
    assert overlay is not None
    for lost in (key, overlay["overlay"]):
        store.delete(lost)
    found = sweep(laboratory.sessions, store, delete=True, grace=NONE)
    assert found.missing_keys == sorted([key, overlay["overlay"]])
    assert found.kinds["original"].missing == Amount(1, 1000)
    assert found.kinds["overlay"].missing == Amount(1, 0)
    assert len(list(store.keys())) == 10


def test_an_object_that_is_named_after_the_listing_stays(laboratory: ReviewLaboratory, store: DirectoryStore) -> None:
    """A row that is committed between the reading of the references and the deletion."""
    key = store.put(b"named at the last moment")
    age(store, key)

    named: list[str] = []

    class Slow(DirectoryStore):
        def delete(self, key: str) -> None:
            raise AssertionError(f"{key} was deleted")

        def entries(self, after: str = "") -> object:  # type: ignore[override]
            for entry in super().entries(after):
                if entry.key > key and not named:
                    named.append(key)
                    laboratory.laboratory.images(1, "C-3", object_key=key, sha256=sha256_of(key))
                yield entry

    found = sweep(laboratory.sessions, Slow(store.root), delete=True)
    assert named == [key]
    assert (found.orphans.objects, found.deleted) == (1, 0)
    assert store.has(key)
    with laboratory.sessions() as session:
        assert session.scalars(select(DiscardedObject.object_key)).all() == []


@pytest.mark.parametrize(("hours", "spared"), [(1, True), (30, False)])
def test_a_running_ingest_spares_orphans(
    laboratory: ReviewLaboratory, store: DirectoryStore, hours: int, spared: bool
) -> None:
    key = store.put(b"orphan")
    age(store, key)
    with laboratory.sessions.begin() as session:
        session.add(IngestBatch(kind="folder", source="x", started_at=text(f"now() - interval '{hours} hours'")))
    found = sweep(laboratory.sessions, store, delete=True)
    assert (found.is_ingesting, store.has(key)) == (spared, spared)
    with laboratory.sessions() as session:
        assert session.scalars(select(DiscardedObject.object_key)).all() == []


def test_a_sweep_completes_an_erasure(laboratory: ReviewLaboratory, store: DirectoryStore) -> None:
    with laboratory.sessions.begin() as session:
        assert erasure.erase(session, "A-1", actor="ada@lab", because="withdrawn")
    assert sweep(laboratory.sessions, store).young == Amount(6, 54)
    assert sweep(laboratory.sessions, store, delete=True).deleted == 6
    assert len(list(store.keys())) == 6


def test_an_interrupted_sweep_goes_on(laboratory: ReviewLaboratory, store: DirectoryStore) -> None:
    for number in range(5):
        age(store, store.put(f"orphan {number}".encode()))
    deleted = threading.Event()

    class Failing(DirectoryStore):
        def delete(self, key: str) -> None:
            if deleted.is_set():
                raise KeyboardInterrupt
            super().delete(key)
            deleted.set()

    with pytest.raises(KeyboardInterrupt):
        sweep(laboratory.sessions, Failing(store.root), delete=True)
    assert len(list(store.keys())) == 16
    assert sweep(laboratory.sessions, store, delete=True).deleted == 4
    assert len(list(store.keys())) == 12


def test_the_policy_removes_old_artefacts_of_unsigned_results(
    laboratory: ReviewLaboratory, store: DirectoryStore
) -> None:
    sessions = laboratory.sessions
    age_case(sessions, "A-1", 40)
    age_case(sessions, "B-2", 20)
    found = sweep(sessions, store, days=30)
    assert (found.kinds["overlay"].due, found.kinds["karyogram"].due) == (Amount(2, 18), Amount())
    assert overlays(sessions) == [True] * 4
    done = sweep(sessions, store, days=30, delete=True)
    assert (done.removed, done.deleted) == ({"overlay": 2}, 2)
    assert overlays(sessions) == [False, False, True, True]
    assert (done.orphans, done.missing_keys, len(list(store.keys()))) == (Amount(), [], 10)
    with sessions() as session:
        analysis = session.scalars(select(Analysis).order_by(Analysis.id)).first()
        assert analysis is not None
        assert list(analysis.artefacts or {}) == ["karyogram"]
        today = session.scalar(text("SELECT CAST(current_date AS text)"))
        assert analysis.removed_artefacts == {"overlay": today}
        names = [set(one or {}) for one in session.scalars(select(CaseResult.artefacts).order_by(CaseResult.case_id))]
    assert names == [{"karyogram"}, {"karyogram", "overlay"}]
    assert sweep(sessions, store, days=30, delete=True).removed == {}
    assert sweep(sessions, store, delete=True).removed == {}


def sign(sessions: SessionFactory, days: int, analysis_ids: str) -> None:
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO karyo.sign_offs (case_id, pipeline_id, reader, position, required, follows, analysis_ids, "
                "last_review_id, result, created_at) VALUES (1, 1, 'ada', 1, 1, 0, :ids, 0, '{}', "
                f"now() - interval '{days} days')"
            ),
            {"ids": analysis_ids},
        )


def analyse_again(laboratory: ReviewLaboratory) -> None:
    """Let another pipeline be about to analyse the images of A-1."""
    images = laboratory.images("A-1")
    laboratory.analyse(images, laboratory.laboratory.pipeline("second"))


@pytest.mark.parametrize(
    ("change", "removed"),
    [
        (lambda laboratory: None, 2),
        (lambda laboratory: sign(laboratory.sessions, 40, "{1,2}"), 0),
        (lambda laboratory: sign(laboratory.sessions, 40, "{1}"), 1),
        (lambda laboratory: sign(laboratory.sessions, 20, "{1}"), 0),
        (analyse_again, 0),
    ],
)
def test_signed_results_stay_and_the_age_is_that_of_the_case(
    laboratory: ReviewLaboratory, store: DirectoryStore, change: Callable[[ReviewLaboratory], None], removed: int
) -> None:
    age_case(laboratory.sessions, "A-1", 40)
    change(laboratory)
    done = sweep(laboratory.sessions, store, days=30, delete=True)
    assert sum(done.removed.values()) == removed


def test_a_bucket_is_swept_too(session_factory: SessionFactory, bucket: str, s3_endpoint: str) -> None:
    store = S3Store(bucket, "karyo", endpoint_url=s3_endpoint)
    laboratory = fill(session_factory, store)
    orphan = store.put(b"orphan")
    assert sweep(laboratory.sessions, store).young == Amount(1, 6)
    assert sweep(laboratory.sessions, store, grace=timedelta(seconds=-5), delete=True).deleted == 1
    assert not store.has(orphan)
    assert len(list(store.keys())) == 12
