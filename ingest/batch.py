"""The road of a batch: read, check, store, and record each image with its pending analysis.

Reading, decoding and storing run ahead in a few threads, each holding one image; records are written by the caller's
thread, some images to a transaction. An object is stored before its row is written, so a row never lacks its object,
and a run that was interrupted is resumed by running it again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from db.engine import SessionFactory
from db.schema import PRIORITIES, Image
from ingest.rejections import Rejected, rejected
from ingest.repository import Batch, Stored
from ingest.sources.folder import Candidate, discover, read
from ingest.sources.manifest import read_manifest
from karyotyping.image.decode import ImageRejected, Limits, decode
from storage import ObjectStore

Progress = Callable[[int, int, str], None]
"""Called with files done, files in all, and what became of the last one: ``"new a.tif"``."""

_IMAGES_PER_TRANSACTION = 32
_LIMITS = Limits()

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


@dataclass(slots=True)
class IngestSummary:
    """What became of every file of one batch."""

    batch_id: int
    new: int = 0
    duplicate: int = 0
    """Files whose bytes were known already, from this batch or from an earlier one."""
    rejected: list[Rejected] = field(default_factory=list)
    image_ids: list[int] = field(default_factory=list)
    """Rows of all images of the batch, new or known, each once, in order."""
    enqueued: int = 0
    """Analyses that were missing and are pending now."""

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON wants it."""
        return {
            "batch_id": self.batch_id,
            "new": self.new,
            "duplicate": self.duplicate,
            "enqueued": self.enqueued,
            "rejected": [one._asdict() for one in self.rejected],
            "image_ids": self.image_ids,
        }


def ingest_folder(
    sessions: SessionFactory,
    store: ObjectStore,
    folder: Path,
    *,
    pipeline_id: int,
    case: str | None = None,
    priority: int = PRIORITIES["routine"],
    lab: str | None = None,
    limits: Limits = _LIMITS,
    progress: Progress | None = None,
    readers: int = 4,
) -> IngestSummary:
    """Store every image under ``folder`` (see :func:`ingest.sources.folder.discover`) and queue it for a pipeline.

    Raises:
        IngestError: ``folder`` is none.
        StorageError: the store failed. What was taken in stays; run it again for the rest.
    """
    entries = discover(folder, case, priority, lab)
    batch = Batch.begin(sessions, "folder", str(folder), pipeline_id)
    return _take_in(batch, store, entries, limits=limits, progress=progress, readers=readers)


def ingest_manifest(
    sessions: SessionFactory,
    store: ObjectStore,
    manifest: Path,
    *,
    pipeline_id: int,
    case: str | None = None,
    priority: int = PRIORITIES["routine"],
    lab: str | None = None,
    limits: Limits = _LIMITS,
    progress: Progress | None = None,
    readers: int = 4,
) -> IngestSummary:
    """Take in the images that a CSV ``manifest`` lists (see :func:`ingest.sources.manifest.read_manifest`); else as
    :func:`ingest_folder`.
    """
    entries = read_manifest(manifest, case, priority, lab)
    batch = Batch.begin(sessions, "manifest", str(manifest), pipeline_id)
    return _take_in(batch, store, entries, limits=limits, progress=progress, readers=readers)


def _take_in(
    batch: Batch,
    store: ObjectStore,
    entries: Sequence[Candidate | Rejected],
    *,
    limits: Limits,
    progress: Progress | None,
    readers: int,
) -> IngestSummary:
    summary = IngestSummary(batch.id)
    seen: set[int] = set()

    def prepare(entry: Candidate | Rejected) -> Stored | Rejected:
        return entry if isinstance(entry, Rejected) else _store(entry, batch.sessions, store, limits)

    outcomes = _ahead(prepare, entries, readers)
    done = 0
    while some := list(islice(outcomes, _IMAGES_PER_TRANSACTION)):
        written = batch.write(some)
        summary.enqueued += written.enqueued
        for outcome in some:
            done += 1
            if isinstance(outcome, Rejected):
                summary.rejected.append(outcome)
                event = f"rejected {outcome.name}"
            else:
                image_id = written.image_ids[outcome.sha256]
                is_new = image_id in written.new and image_id not in seen
                summary.new += is_new
                summary.duplicate += not is_new
                if image_id not in seen:
                    seen.add(image_id)
                    summary.image_ids.append(image_id)
                event = f"{'new' if is_new else 'duplicate'} {outcome.candidate.name}"
            if progress:
                progress(done, len(entries), event)
    batch.finish()
    return summary


def _store(candidate: Candidate, sessions: SessionFactory, store: ObjectStore, limits: Limits) -> Stored | Rejected:
    """Read and check one file and put its bytes into the store, unless an image row says that they are there."""
    try:
        data = read(candidate.path, limits.max_bytes)
        sha256 = hashlib.sha256(data).hexdigest()
        with sessions() as session:
            known = session.scalar(select(Image.id).where(Image.sha256 == sha256)) is not None
        if known:
            return Stored(candidate, sha256)
        photograph = decode(data, limits)
    except ImageRejected as verdict:
        return Rejected(candidate.name, verdict.reason, verdict.sentence)
    except OSError as error:
        return rejected(candidate.name, "unreadable_file", error=error.strerror)
    columns = {
        "object_key": store.put(data),
        "format": photograph.format,
        "byte_count": len(data),
        "width": photograph.width,
        "height": photograph.height,
        "bit_depth": photograph.bit_depth,
    }
    return Stored(candidate, sha256, columns)


def _ahead(work: Callable[[_Item], _Outcome], items: Iterable[_Item], threads: int) -> Iterator[_Outcome]:
    """``map(work, items)`` with ``threads`` threads that run a bounded way ahead of who asks."""
    remaining = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="ingest") as pool:
        running: deque[Future[_Outcome]] = deque(pool.submit(work, item) for item in islice(remaining, 4 * threads))
        try:
            while running:
                outcome = running.popleft().result()
                running.extend(pool.submit(work, item) for item in islice(remaining, 1))
                yield outcome
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
