"""One batch: what it puts into the store and the database."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from sqlalchemy import delete, func, select

from db import discarded_objects, erasure, queue
from db.engine import SessionFactory
from db.schema import Analysis, Case, Image, IngestBatch, Priority
from ingest.batch import IngestSummary, ingest
from ingest.rejections import IngestError, Rejected
from ingest.repository import Batch, StoredImage
from ingest.sources.folder import FolderSource
from ingest.sources.labels import Labels
from ingest.sources.manifest import ManifestSource
from storage import DirectoryStore, StoreUnavailable
from tests.support.image_files import tiff


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(np.random.default_rng(seed).integers(0, 256, (70, 80), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cases, one image in no sub-folder, and a copy of an image in another case."""
    root = tmp_path / "monday"
    for number, name in enumerate(["A/cell 10.png", "A/cell 9.png", "B/slide 2/cell 1.png", "loose.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(number))
    (root / "B" / "again.png").write_bytes(png(0))
    return root


def rows(sessions: SessionFactory, *columns: Any) -> set[Any]:
    with sessions() as session:
        return {tuple(row) for row in session.execute(select(*columns))}


def test_a_folder_is_stored_and_enqueued(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    events: list[tuple[int, int | None, str]] = []
    source = FolderSource(folder)
    summary = ingest(
        session_factory, store, source, pipeline_id=pipeline_id, progress=lambda *event: events.append(event)
    )
    assert events == [
        (1, 5, "new A/cell 9.png"),
        (2, 5, "new A/cell 10.png"),
        (3, 5, "rejected B/again.png"),
        (4, 5, "new B/slide 2/cell 1.png"),
        (5, 5, "new loose.png"),
    ]
    assert (summary.new, summary.duplicate, summary.enqueued) == (4, 0, 4)
    assert [(item.name, item.reason) for item in summary.rejected] == [("B/again.png", "known_in_other_case")]
    with session_factory() as session:
        joined = session.execute(select(Image.file_name, Case.accession).join(Case, Case.id == Image.case_id))
        assert dict(tuple(row) for row in joined) == {
            "A/cell 9.png": "A",
            "A/cell 10.png": "A",
            "B/slide 2/cell 1.png": "B/slide 2",
            "loose.png": "monday",
        }
        for image in session.scalars(select(Image)):
            assert store.get(image.object_key) == (folder / image.file_name).read_bytes()
            assert (image.width, image.height, image.bit_depth, image.format) == (80, 70, 8, "PNG")
        batch = session.get_one(IngestBatch, summary.batch_id)
        assert (batch.kind, batch.source) == ("folder", str(folder))
        assert (batch.new_count, batch.duplicate_count, batch.rejected_count) == (4, 0, 1)
        assert batch.finished_at is not None
    assert rows(session_factory, Analysis.image_id) == {(image_id,) for image_id in summary.image_ids}
    assert json.loads(json.dumps(summary.to_json()))["new"] == 4


def test_a_second_run_stores_nothing_and_enqueues_missing_analyses(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    def run() -> IngestSummary:
        return ingest(session_factory, store, FolderSource(folder), pipeline_id=pipeline_id)

    first = run()
    with session_factory.begin() as session:
        session.execute(delete(Analysis).where(Analysis.image_id == first.image_ids[0]))
    second = run()
    assert (second.new, second.duplicate, second.enqueued) == (0, 4, 1)
    assert second.image_ids == first.image_ids
    assert run().enqueued == 0


def test_a_given_case_and_priority_apply_to_all_images(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    source = FolderSource(folder, Labels("24-1234", priority=Priority.STAT))
    ingest(session_factory, store, source, pipeline_id=pipeline_id)
    assert rows(session_factory, Case.accession) == {("24-1234",)}
    assert rows(session_factory, Analysis.priority) == {(Priority.STAT,)}


def test_more_images_than_one_transaction_takes_are_all_counted(
    tmp_path: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    (tmp_path / "many").mkdir()
    for number in range(70):
        (tmp_path / "many" / f"{number}.png").write_bytes(png(number % 60))
    summary = ingest(session_factory, store, FolderSource(tmp_path / "many"), pipeline_id=pipeline_id)
    assert (summary.new, summary.duplicate, len(summary.image_ids)) == (60, 10, 60)
    with session_factory() as session:
        assert session.scalar(select(func.count()).select_from(Analysis)) == 60


def test_a_failing_store_stops_the_batch_and_the_next_run_resumes_it(
    folder: Path, tmp_path: Path, session_factory: SessionFactory, pipeline_id: int
) -> None:
    (tmp_path / "file").write_bytes(b"")
    source = FolderSource(folder)
    with pytest.raises(StoreUnavailable):
        ingest(session_factory, DirectoryStore(tmp_path / "file"), source, pipeline_id=pipeline_id)
    assert rows(session_factory, Image.id) == set()
    assert rows(session_factory, IngestBatch.finished_at) == {(None,)}
    summary = ingest(session_factory, DirectoryStore(tmp_path / "good"), source, pipeline_id=pipeline_id)
    assert summary.new == 4


def test_a_missing_folder_starts_no_batch(
    tmp_path: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    with pytest.raises(IngestError) as caught:
        ingest(session_factory, store, FolderSource(tmp_path / "absent"), pipeline_id=pipeline_id)
    assert caught.value.reason == "folder_not_found"
    assert rows(session_factory, IngestBatch.id) == set()


def test_a_manifest_is_stored_with_its_labels(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text(
        "path,case,lab,slide,culture,colony,tissue,banding,microscope,captured_at,priority\n"
        "A/cell 9.png,24-1,north,s1,C2,7,blood,GTG,Axio,2024-05-31T14:30:00+02:00,stat\n"
        "loose.png,,,,,,,,,,\n"
    )
    source = ManifestSource(manifest, Labels("24-9", lab="south"))
    summary = ingest(session_factory, store, source, pipeline_id=pipeline_id)
    assert summary.new == 2
    with session_factory() as session:
        image = session.get_one(Image, summary.image_ids[0])
        assert (image.culture, image.colony) == ("C2", "7")
        assert (image.slide, image.banding, image.microscope) == ("s1", "GTG", "Axio")
        assert image.captured_at is not None
        assert image.captured_at.isoformat() == "2024-05-31T12:30:00+00:00"
    assert rows(session_factory, IngestBatch.kind, IngestBatch.source) == {("manifest", str(manifest))}
    assert rows(session_factory, Case.accession, Case.lab, Case.tissue) == {
        ("24-1", "north", "blood"),
        ("24-9", "south", None),
    }
    assert rows(session_factory, Analysis.image_id, Analysis.priority) == {
        (summary.image_ids[0], Priority.STAT),
        (summary.image_ids[1], Priority.ROUTINE),
    }


def test_laboratories_take_turns_at_the_workers(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    def run(name: str, labels: Labels) -> None:
        ingest(session_factory, store, FolderSource(folder / name, labels), pipeline_id=pipeline_id)

    run("A", Labels(lab="north"))
    for number in (10, 11):
        (folder / "B" / f"{number}.png").write_bytes(png(number))
    run("B", Labels("B", lab="south"))
    (folder / "late").mkdir()
    (folder / "late" / "12.png").write_bytes(png(12))
    run("late", Labels("C", lab="north"))
    assert rows(session_factory, Case.accession, Case.lab) == {
        ("A", "north"),
        ("B", "south"),
        ("C", "north"),
    }
    with session_factory.begin() as session:
        claimed = [analysis_id for analysis_id, _ in queue.claim(session, Priority.ROUTINE, 4, 100)]
        lab = select(Analysis.id, Case.lab).join(Image, Image.id == Analysis.image_id).join(Case)
        labs = dict(session.execute(lab).all())
    in_order = [labs[analysis_id] for analysis_id in claimed]
    assert sorted(in_order[:2]) == sorted(in_order[2:]) == ["north", "south"]


def test_an_object_that_is_ingested_again_is_not_erased(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    ingest(session_factory, store, FolderSource(folder), pipeline_id=pipeline_id)
    with session_factory.begin() as session:
        erasure.erase(session, "A", actor="ada@lab", because="withdrawn")
    again = ingest(session_factory, store, FolderSource(folder), pipeline_id=pipeline_id)
    assert again.new == 2
    assert discarded_objects.remove(session_factory.transact, store.delete) == 0
    assert all(store.has(key) for (key,) in rows(session_factory, Image.object_key))


def test_a_known_file_whose_case_is_erased_meanwhile_is_rejected(
    folder: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    source = FolderSource(folder)
    ingest(session_factory, store, source, pipeline_id=pipeline_id)
    batch = Batch.begin(session_factory, source, pipeline_id)
    image = StoredImage("A/cell 9.png", Labels(case="A"), store.put((folder / "A/cell 9.png").read_bytes()), None)
    with session_factory.begin() as session:
        erasure.erase(session, "A", actor="ada@lab", because="withdrawn")
    (outcome,) = batch.write([image]).outcomes
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "erased_meanwhile"
    assert ("A",) not in rows(session_factory, Case.accession)


def test_a_chosen_channel_goes_to_the_worker_and_another_one_is_refused(
    tmp_path: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 2, 70, 80), dtype=np.uint8)  # focus, channel
    names = {"axes": "ZCYX", "Channel": {"Name": ["TRITC", "DAPI"]}}
    (tmp_path / "in" / "A").mkdir(parents=True)
    (tmp_path / "in" / "A" / "stack.ome.tif").write_bytes(
        tiff(pixels, ome=True, photometric="minisblack", metadata=names)
    )

    def take(**chosen: Any) -> IngestSummary:
        source = FolderSource(tmp_path / "in", Labels(**chosen))
        return ingest(session_factory, store, source, pipeline_id=pipeline_id)

    assert [one.reason for one in take().rejected] == ["ambiguous_channel"]
    assert take(channel="dapi", plane=1).new == 1
    assert rows(session_factory, Image.channel, Image.plane) == {("dapi", 1)}
    assert [one.reason for one in take(channel="TRITC", plane=1).rejected] == ["other_channel"]
    with session_factory.begin() as session:
        (claimed,) = queue.claim(session, Priority.ROUTINE, 1, 1)
        (leased,) = queue.lease(session, [claimed.analysis_id], "w", 60)
    assert (leased.channel, leased.plane) == ("dapi", 1)
