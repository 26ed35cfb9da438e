"""One batch of ingest: read, check, store, and record each image with its pending analysis.

Reading, decoding and storing run ahead in a few threads, each of which holds one image. The caller's thread writes the
rows, some images to a transaction. An object is stored before its row is written, so a row never lacks its object. A
batch that was interrupted is resumed by running it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from concurrency import map_ahead
from db import discarded_objects
from db.engine import SessionFactory
from db.schema import Image
from ingest.folder_cases import FolderCases
from ingest.rejections import CONFLICTS, Rejected
from ingest.repository import Batch, ImageFacts, StoredImage, WriteResult, case_conflict
from ingest.sources.base import Item, Source
from ingest.sources.content import PassedOver, is_no_image
from karyotyping.image.decode import ImageRejected, Limits, decode
from storage import ObjectStore, key_of, sha256_of

Progress = Callable[[int, int | None, str], None]
"""Callback with files done, files in all (None while unknown), and the last event: ``"new a.tif"``."""

IMAGES_PER_TRANSACTION = 32
ITEMS_PER_READER = 4  # items that are submitted to the pool for each of its threads
DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class IngestSummary:
    """Outcome of every file of one batch."""

    batch_id: int
    new: int = 0
    duplicate: int = 0
    """Files whose bytes were known already, from this batch or from an earlier one."""
    rejected: list[Rejected] = field(default_factory=list)
    image_ids: list[int] = field(default_factory=list)
    """Rows of all images of the batch, new or known, each once, in order."""
    enqueued: int = 0
    """Analyses that were missing and are pending now."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files that are clearly no images, by kind."""
    notes: Sequence[str] = ()
    """Sentences for people about how the source was read."""
    _counted: set[int] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """Return the summary in types of JSON."""
        return {
            "batch_id": self.batch_id,
            "new": self.new,
            "duplicate": self.duplicate,
            "enqueued": self.enqueued,
            "rejected": [rejection._asdict() for rejection in self.rejected],
            "image_ids": self.image_ids,
            "passed_over": dict(self.passed_over),
            "notes": list(self.notes),
        }

    @property
    def found_nothing(self) -> bool:
        """Whether no file was an image or had the name of one."""
        return not self.image_ids and all(map(is_no_image, self.rejected))

    def describe(self) -> str:
        """Return the counts as text."""
        return f"{self.new} new, {self.duplicate} known, {len(self.rejected)} rejected"

    @property
    def has_conflicts(self) -> bool:
        """Whether a file contradicts a known case or image, so that somebody must decide."""
        return any(rejection.reason in CONFLICTS for rejection in self.rejected)

    def add(self, outcome: StoredImage | Rejected, result: WriteResult) -> str:
        """Count one file and return its event, which starts with new, duplicate or rejected."""
        if isinstance(outcome, Rejected):
            self.rejected.append(outcome)
            return f"rejected {outcome.name}"
        image_id = result.image_ids[outcome.sha256]
        is_new = image_id in result.new and image_id not in self._counted
        self.new += is_new
        self.duplicate += not is_new
        if image_id not in self._counted:
            self._counted.add(image_id)
            self.image_ids.append(image_id)
        return f"{'new' if is_new else 'duplicate'} {outcome.name}"


def ingest(
    sessions: SessionFactory,
    store: ObjectStore,
    source: Source,
    *,
    pipeline_id: int,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
    readers: int = 4,
) -> IngestSummary:
    """Store every image of ``source`` and enqueue its analysis, if that is missing.

    Args:
        sessions: Sessions on the database.
        store: Where the bytes of images go.
        source: Where images come from; see :func:`ingest.sources.location.open_source`.
        pipeline_id: Pipeline that analyses the images.
        limits: Bounds that hold before an image is read or decoded.
        progress: Callback after each file.
        readers: Threads that read, decode and store.

    Raises:
        IngestError: The source cannot be read; no batch is recorded.
        StorageError: The store failed. Stored images stay; run it again for the rest.
    """
    answers = source.items()
    total = None
    if isinstance(answers, Sized):
        total = len(answers) - sum(isinstance(answer, PassedOver) for answer in answers)
    batch = Batch.begin(sessions, source, pipeline_id)
    folder_cases = FolderCases(sessions, batch.place, limits, batch.admitted)
    summary = IngestSummary(batch.id, notes=source.notes)

    def items() -> Iterator[Item | Rejected]:
        for answer in answers:
            if isinstance(answer, PassedOver):
                summary.passed_over[answer.kind] += 1
            else:
                yield answer

    def prepare(item: Item | Rejected) -> StoredImage | Rejected:
        return item if isinstance(item, Rejected) else _store(item, sessions, store, limits)

    threads = ThreadPoolExecutor(readers, thread_name_prefix="ingest")
    outcomes = map_ahead(threads, prepare, folder_cases.checked(items()), ahead=ITEMS_PER_READER * readers)
    done = 0
    while transaction := list(islice(outcomes, IMAGES_PER_TRANSACTION)):
        result = batch.write(transaction)
        summary.enqueued += result.enqueued
        for outcome in result.outcomes:
            done += 1
            event = summary.add(outcome, result)
            if progress:
                progress(done, total, event)
    batch.finish()
    return summary


def _store(item: Item, sessions: SessionFactory, store: ObjectStore, limits: Limits) -> StoredImage | Rejected:
    """Read and check one file, and store its bytes if they are new and fit their case."""
    data = item.read(limits.max_bytes)
    if isinstance(data, Rejected):
        return data
    key = key_of(data)

    def look_up(session: Session) -> tuple[bool, Rejected | None]:
        known = session.scalar(select(Image.id).where(Image.sha256 == sha256_of(key))) is not None
        if not known:
            discarded_objects.keep(session, [key])
        return known, None if known else case_conflict(session, item.name, item.labels)

    known, conflict = sessions.transact(look_up)
    if known or conflict:
        return conflict or StoredImage(item.name, item.labels, key, None)
    try:
        image = decode(data, limits, item.labels.channel, item.labels.plane)
    except ImageRejected as error:
        return Rejected(item.name, error.reason, error.sentence)
    store.put(data, key)
    facts = ImageFacts(image.format, len(data), image.width, image.height, image.bit_depth)
    return StoredImage(item.name, item.labels, key, facts)
