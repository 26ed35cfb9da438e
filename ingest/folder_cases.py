"""Cases that are named after a folder: each is new, or the same folder again.

Folders of two patients often have one name, such as ``images``. Their images must not become one case, so a folder's
name adds to an existing case in two situations only:

* Every image of the folder is known in the case.
* An image of the case came from this very file: the same place, the same name and the same bytes. So an interrupted
  ingest resumes, and an export folder that was filled with another patient's images is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.engine import SessionFactory
from db.schema import Case, Image, IngestBatch
from db.spelling import normalise
from ingest.rejections import Rejected, rejected
from ingest.sources.base import Item
from ingest.sources.labels import Labels
from karyotyping.image.decode import ImageRejected, Limits, decode
from storage import key_of, sha256_of

Other = TypeVar("Other")
"""Answers to files that need no decision."""


class Place(NamedTuple):
    """A source, as ``ingest_batches`` records it."""

    kind: str
    source: str


class FolderCase(NamedTuple):
    """A case and the folder that it is named after."""

    accession: str
    folder: str


class KnownImage(NamedTuple):
    """An image of a case: its path, which is None for uploads, and its bytes."""

    path: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class KnownCase:
    """An existing case: where its images came from."""

    accession: str
    place: str
    """Source of its first image."""
    day: str
    """When its first image came, ISO 8601."""
    images: Collection[KnownImage]

    def refusal(self, name: str) -> Rejected:
        """Return the rejection of the file ``name``, whose folder is another one."""
        return rejected(name, "case_exists", case=self.accession, place=self.place, day=self.day)


def path_of(place: Place, name: str) -> str | None:
    """Return the normalised path of the file ``name`` of a source; None for uploads.

    Spellings of one name are one path. A manifest's paths start at its folder, so it is the same place as its folder.
    """
    if place.kind == "upload":
        return None
    root = place.source.rpartition("/")[0] if place.kind == "manifest" else place.source.rstrip("/")
    return normalise(f"{root}/{name}")


def folder_case(place: Place, name: str, labels: Labels) -> FolderCase | None:
    """Return the case of the file ``name`` with its folder; None if another name was given."""
    path = path_of(place, name)
    return FolderCase(labels.case, path.rpartition("/")[0]) if labels.case_from_folder and path is not None else None


def known_case(session: Session, accession: str, sha256s: Collection[str] | None = None) -> KnownCase | None:
    """Return an existing case; None if there is none, or none with images.

    Args:
        session: An open session.
        accession: Accession number, normalised.
        sha256s: Only these images are needed.
    """
    images = (
        select(Image.file_name, Image.sha256, Image.created_at, IngestBatch.kind, IngestBatch.source)
        .join(Case, Case.id == Image.case_id)
        .outerjoin(IngestBatch, IngestBatch.id == Image.batch_id)
        .where(Case.accession == accession)
        .order_by(Image.id)
    )
    first = session.execute(images.limit(1)).first()
    if first is None:
        return None
    rows = session.execute(images if sha256s is None else images.where(Image.sha256.in_(sha256s)))
    known = [
        KnownImage(path_of(Place(kind, source), name) if source else None, sha256)
        for name, sha256, _, kind, source in rows
    ]
    return KnownCase(accession, first.source or "an unknown place", f"{first.created_at:%Y-%m-%d}", known)


class FolderCases:
    """The check of a source's items before any of them is stored.

    Items whose case is undecided are held back without their bytes.

    Args:
        sessions: Sessions on the database.
        place: The source.
        limits: Bounds that hold before a file is read.
        admitted: Cases that the folders of their name may add to; those that are found are added.
    """

    def __init__(self, sessions: SessionFactory, place: Place, limits: Limits, admitted: set[FolderCase]) -> None:
        self._admitted = admitted
        self._sessions = sessions
        self._place = place
        self._limits = limits
        self._known: dict[str, KnownCase | None] = {}

    def checked(self, items: Iterable[Item | Other]) -> Iterator[Item | Rejected | Other]:
        """Yield each of ``items`` or its rejection; undecided ones follow later."""
        held: dict[FolderCase, list[Item]] = {}
        for item in items:
            case = folder_case(self._place, item.name, item.labels) if isinstance(item, Item) else None
            if not isinstance(item, Item) or case is None:
                yield item
            elif self._may_add(case, item):
                yield item
                yield from held.pop(case, ())
            else:
                held.setdefault(case, []).append(item)
        for case, members in held.items():
            known = self._known[case.accession]
            if known is None or self._all_known(known, members):
                yield from members
            else:
                yield from (known.refusal(item.name) for item in members)

    def _may_add(self, case: FolderCase, item: Item) -> bool:
        """Return whether ``case`` is new, or known to be of this folder by now."""
        if case.accession not in self._known:
            self._known[case.accession] = self._sessions.transact(lambda session: known_case(session, case.accession))
        known = self._known[case.accession]
        if known is None or case in self._admitted:
            return True
        path = path_of(self._place, item.name)
        sha256s = {image.sha256 for image in known.images if image.path == path}
        if sha256s and _sha256(item.read(self._limits.max_bytes)) in sha256s:
            self._admitted.add(case)
            return True
        return False

    def _all_known(self, known: KnownCase, items: Iterable[Item]) -> bool:
        """Return whether each of ``items`` that is an image is one of the case."""
        sha256s = {image.sha256 for image in known.images}
        for item in items:
            data = item.read(self._limits.max_bytes)
            if isinstance(data, bytes) and _sha256(data) not in sha256s and self._is_image(item, data):
                return False
        return True

    def _is_image(self, item: Item, data: bytes) -> bool:
        try:
            decode(data, self._limits, item.labels.channel, item.labels.plane)
        except ImageRejected:
            return False
        return True


def _sha256(data: bytes | Rejected) -> str | None:
    return None if isinstance(data, Rejected) else sha256_of(key_of(data))
