"""Names of files that are made of accession numbers, file names and cells."""

from __future__ import annotations

import hashlib
import re

MAX_STEM_BYTES = 120  # of UTF-8; file systems allow 255, encrypted ones 143, and a suffix follows
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff/\\:*?"<>|]')
_DIGEST_LENGTH = 12  # hexadecimal digits


def safe_stem(text: str) -> str:
    """Return ``text`` as the start of a file's name, safe and of bounded length.

    A text that is too long is cut, and a digest of the whole of it follows.

    >>> safe_stem("24/7_cell: 1"), safe_stem("-x"), len(safe_stem("x" * 999))
    ('24_7_cell_ 1', '_-x', 120)
    """
    stem = _UNSAFE.sub("_", text).strip()
    if not stem or stem[0] in ".-":
        stem = f"_{stem}"
    encoded = stem.encode()
    if len(encoded) <= MAX_STEM_BYTES:
        return stem
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST_LENGTH]
    kept = encoded[: MAX_STEM_BYTES - _DIGEST_LENGTH - 1].decode(errors="ignore")
    return f"{kept}_{digest}"
