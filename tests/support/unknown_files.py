"""Files whose names are not those of images, and the answers that they get."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from ingest.rejections import Rejected
from ingest.sources.base import Item
from ingest.sources.content import PassedOver

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def _image(kind: str, seed: int = 0) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (96, 80), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


IMAGES = {
    "tiff": _image("TIFF"),
    "no suffix": _image("PNG"),
    "jpeg.001": _image("JPEG"),
    "bitmap.pic": _image("BMP"),
    "trailing.png ": _image("PNG", 1),
    "camera.jfif": _image("JPEG", 1),
}
"""Files that are decoded."""
FILES = IMAGES | {
    "animation": _image("GIF"),
    "wavelets": _image("JPEG2000"),
    "slide.zvi": _OLE,
    "storage": _OLE,
    "slide.vsi": _image("TIFF"),
    "film": b"\0\0\0\x18ftypisom" + bytes(64),
    "core": bytes(range(256)) * 4,
    "inner.zip": b"PK\x03\x04" + bytes(64),
    "nothing": b"",
    "notes": b"Dear colleague,\n",
    "letter.latin": "Größe\n".encode("latin-1"),
    "wide.note": "Größe\n".encode("utf-16"),
    "BMW": b"BMW of the head of the laboratory\n",
    "list.xml": b"<a/>",
    "scan.PDF": b"%PDF-1.7\n",
    "paper": b"%PDF-1.7\n",
    "Thumbs.db": _OLE,
    "desktop.ini": b"",
    ".DS_Store": b"\0\0\0\1Bud1",
}
_REJECTED_OR_PASSED_OVER = {
    "animation": "unsupported_format",
    "wavelets": "unsupported_format",
    "slide.zvi": "A",
    "storage": "unsupported_format",
    "slide.vsi": "unsupported_format",
    "film": "unsupported_format",
    "core": "not_an_image",
    "inner.zip": "nested_archive",
    "nothing": "A",
    "notes": "text",
    "letter.latin": ".latin",
    "wide.note": ".note",
    "BMW": "text",
    "list.xml": ".xml",
    "scan.PDF": ".pdf",
    "paper": "PDF",
    "Thumbs.db": ".db",
    "desktop.ini": ".ini",
    ".DS_Store": "hidden",
}
ANSWERS = dict.fromkeys(IMAGES, "A") | _REJECTED_OR_PASSED_OVER
"""The case of those that are decoded, the reason of those that are rejected, the kind of those that are passed over."""
REASONS = {name: answer for name, answer in ANSWERS.items() if "_" in answer} | {
    "slide.zvi": "unsupported_format",
    "nothing": "empty_file",
}
"""Reasons after those that are decoded have been decoded."""
PASSED_OVER = {"text": 2, ".latin": 1, ".note": 1, ".xml": 1, ".pdf": 1, "PDF": 1, ".db": 1, ".ini": 1, "hidden": 1}


def answer_by_name(answers: Iterable[Item | Rejected | PassedOver]) -> dict[str, str]:
    """Return the case, the reason or the kind of every file."""
    by_name: dict[str, str] = {}
    for answer in answers:
        match answer:
            case Item():
                by_name[answer.name] = answer.labels.case
            case Rejected():
                by_name[answer.name] = answer.reason
            case PassedOver():
                by_name[answer.name] = answer.kind
    return by_name
