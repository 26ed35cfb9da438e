"""Sweep of the object store: objects that no row names, and rows whose object is missing.

The listing of the store and the references of the database are merged in order of their keys, one of 16 ranges of keys
after the other, a page of each at a time. An ingest stores an object before it commits the row. So young objects are
spared, and old ones too while a batch runs: it may be about to name one that was there before.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any

from db import audit, discarded_objects, retention
from db.engine import SessionFactory
from db.retention import Reference
from storage import ObjectStore, StoredObject

SWEPT = "storage.swept"
_RANGES = [(f"sha256/{digit}", f"sha256/{chr(ord(digit) + 1)}") for digit in "0123456789abcdef"]
_PAGE = 500  # orphans that are deleted together
_MAX_NAMED = 20  # missing objects that a report names


@dataclass(slots=True)
class Amount:
    """Number and size of objects."""

    objects: int = 0
    bytes: int = 0

    def add(self, byte_count: int) -> None:
        """Count one more object."""
        self.objects += 1
        self.bytes += byte_count


@dataclass(slots=True)
class KindReport:
    """What the sweep has found of one kind of objects."""

    stored: Amount = field(default_factory=Amount)
    due: Amount = field(default_factory=Amount)
    """Those of ``stored`` that the retention policy removes."""
    missing: Amount = field(default_factory=Amount)
    """Rows that name an object which is not there; sizes of originals only."""


@dataclass(slots=True)
class SweepReport:
    """What a sweep has found, and what it has deleted."""

    kinds: dict[str, KindReport] = field(default_factory=dict)
    orphans: Amount = field(default_factory=Amount)
    """Objects that no row names and that are older than the grace period."""
    young: Amount = field(default_factory=Amount)
    """Objects that no row names yet."""
    missing_keys: list[str] = field(default_factory=list)
    """The first missing objects."""
    removed: dict[str, int] = field(default_factory=dict)
    """Artefacts that the policy has removed, by kind."""
    deleted: int = 0
    """Objects that were deleted."""
    is_ingesting: bool = False
    """Whether orphans were spared because a batch of ingest runs."""

    def to_json(self) -> dict[str, Any]:
        """Return the report in types of JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep, and how it decides.

    Args:
        sessions: sessions on the database.
        store: the object store.
        days: age at which artefacts of unsigned results are removed, by kind.
        grace: age below which an object that no row names is spared.
        delete: whether orphans and what is due are deleted.
    """

    sessions: SessionFactory
    store: ObjectStore
    days: Mapping[str, int]
    grace: timedelta
    delete: bool = False
    report: SweepReport = field(default_factory=SweepReport)

    def run(self, actor: str) -> SweepReport:
        """Sweep the whole store.

        A sweep that was interrupted is repeated; what it has deleted is not there any more.

        Args:
            actor: who sweeps, as ``user@host``.

        Raises:
            StorageError: the store failed; what was deleted stays deleted.
        """
        report = self.report
        if self.delete:
            report.removed = retention.remove_due(self.sessions.transact, self.days)
            self._remove_discarded()
        for low, high in _RANGES:
            self._sweep_range(low, high)
        if self.delete and (report.deleted or report.removed):
            counts = {"deleted": report.deleted, "removed": report.removed}
            self.sessions.transact(
                lambda session: audit.append(session, actor=actor, action=SWEPT, subject="storage", **counts)
            )
        return report

    def _sweep_range(self, low: str, high: str) -> None:
        oldest = datetime.now(UTC) - self.grace
        orphans: list[str] = []
        with self.sessions() as session:
            for key, stored, references in _merge(
                takewhile(lambda entry: entry.key < high, self.store.entries(low)),
                retention.list_references(session, low, high, self.days),
            ):
                if references:
                    self._count_named(key, stored, references)
                elif stored is not None and stored.modified_at > oldest:
                    self.report.young.add(stored.byte_count)
                elif stored is not None:
                    self.report.orphans.add(stored.byte_count)
                    orphans.append(key)
                if len(orphans) == _PAGE:
                    self._delete(orphans)
                    orphans.clear()
        self._delete(orphans)

    def _count_named(self, key: str, stored: StoredObject | None, references: list[Reference]) -> None:
        first = references[0]
        kind = self.report.kinds.setdefault(first.kind, KindReport())
        if stored is None:
            kind.missing.add(first.byte_count or 0)
            if len(self.report.missing_keys) < _MAX_NAMED:
                self.report.missing_keys.append(key)
            return
        kind.stored.add(stored.byte_count)
        if all(reference.is_due for reference in references):
            kind.due.add(stored.byte_count)

    def _delete(self, orphans: list[str]) -> None:
        """Delete orphans that no row names by now, unless an ingest may be about to name one."""
        if not (self.delete and orphans) or self.report.is_ingesting:
            return
        self.sessions.transact(partial(discarded_objects.add, keys=orphans))
        # A batch that begins after this look finds the objects noted, and stores them again.
        look = partial(retention.is_ingesting, seconds=self.grace.total_seconds())
        if self.sessions.transact(look):
            self.report.is_ingesting = True
            self.sessions.transact(partial(discarded_objects.keep, keys=orphans))
            return
        self._remove_discarded()

    def _remove_discarded(self) -> None:
        self.report.deleted += discarded_objects.remove(self.sessions.transact, self.store.delete)


def _merge(
    stored: Iterator[StoredObject], references: Iterator[Reference]
) -> Iterator[tuple[str, StoredObject | None, list[Reference]]]:
    """Yield every key with its object, None if it is missing, and the rows that name it."""
    keyed = heapq.merge(((one.key, one) for one in stored), ((one.key, one) for one in references), key=itemgetter(0))
    for key, group in groupby(keyed, key=itemgetter(0)):
        members = [member for _, member in group]
        entry = next((member for member in members if isinstance(member, StoredObject)), None)
        yield key, entry, [member for member in members if isinstance(member, Reference)]
