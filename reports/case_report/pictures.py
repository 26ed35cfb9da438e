"""Pictures of a cell, as small as a report can carry."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from reports.case_report.document import Picture
from storage import ObjectStore

_QUALITY = 88  # of JPEG, 1..95; outlines stay sharp


def read_pictures(store: ObjectStore, artefacts: Mapping[str, Any], cell: int, clone: int | None) -> Iterator[Picture]:
    """Yield the karyogram of a cell and its metaphase with outlines.

    Artefacts that are missing are left out.

    Raises:
        StorageError: a picture could not be read.
    """
    if key := artefacts.get("karyogram"):
        data = _as_text(store.get(key))
        yield Picture(kind="karyogram", cell=cell, clone=clone, media_type="image/png", data=data)
    if key := artefacts.get("overlay"):
        data = _as_text(_as_jpeg(store.get(key)))
        yield Picture(kind="overlay", cell=cell, clone=clone, media_type="image/jpeg", data=data)


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _as_jpeg(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        target = io.BytesIO()
        picture.convert("RGB").save(target, "JPEG", quality=_QUALITY, optimize=True)
    return target.getvalue()
