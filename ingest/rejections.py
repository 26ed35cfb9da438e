"""Reasons for which a file or a whole batch is not taken."""

from __future__ import annotations

import re
from typing import NamedTuple

from karyotyping.image import decode

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

REASONS = {
    "unsafe_name": "The name holds control characters or is not UTF-8; rename the file.",
    "not_a_file": "It is named like an image but is a {kind}; put the image itself here, or rename it.",
    "symlink_outside_folder": "The link leads out of the folder; copy the image into the folder.",
    "broken_symlink": "The link leads nowhere or in a circle; copy the image into the folder.",
    "unreadable_file": "The file cannot be read ({error}); check its permissions and the disk.",
    "missing_file": "Line {line}: there is no such file; check the path, which starts at the manifest's folder.",
    "path_outside_folder": "Line {line}: the path leads out of the manifest's folder; move the manifest or the image.",
    "missing_path": "Line {line}: the column path is empty; name the image.",
    "listed_twice": "Line {line}: the image is listed on an earlier line too; keep one of them.",
    "bad_date": "{where}captured_at is {value!r}; write it like 2024-05-31 or 2024-05-31T14:30:00+02:00.",
    "bad_priority": "{where}priority is {value!r}; write stat, routine or backlog, or leave it empty.",
    "bad_text": "{where}{column} holds control characters; write it again by hand.",
    "long_text": "{where}{column} has more than {limit} characters; shorten it.",
    "too_many_values": "Line {line}: there are more values than columns; put quotes around values with commas.",
    "missing_crop": "Line {line} of index.csv names a file that is not there; add the file or remove the line.",
    "missing_cell": "index.csv does not say of which cell it is; fill the column {column} in its line.",
    "outside_collection": "The name leads out of the collection; move or rename the file.",
    "named_twice": "An earlier file of the archive has the same name; rename one of them.",
    "locked": "The file is locked by a password; make the archive without one.",
    "damaged_archive": "The archive is damaged at this file ({error}); make it again.",
    "not_a_collection": "{path} is neither a folder nor a zip archive; give the images as one of them.",
    "folder_not_found": "{path} is not a folder; give the folder that holds the images.",
    "prefix_not_found": "{url} holds no objects; check the bucket and the prefix.",
    "prefix_unreadable": "{url} cannot be listed ({error}); check the bucket, its address and the credentials.",
    "manifest_unreadable": "{path} cannot be read as CSV ({error}); save it as CSV in UTF-8.",
    "manifest_missing_column": "The manifest {path} has no column {column}; its first line names the columns: {known}.",
    "manifest_unknown_column": "The manifest {path} has a column {column!r}; remove it or use one of: {known}.",
}
"""Sentences by reason, for names, labels and sources; those of images are ``karyotyping.image.decode.REASONS``."""

_SENTENCES = decode.REASONS | REASONS


class Rejected(NamedTuple):
    """A file that is not taken: its name, a reason, and a sentence for people."""

    name: str
    reason: str
    sentence: str


class IngestError(Exception):
    """A batch that cannot be started: its ``reason`` and a ``sentence`` for people."""

    def __init__(self, reason: str, **facts: object) -> None:
        self.reason = reason
        self.sentence = REASONS[reason].format(**facts)
        super().__init__(self.sentence)


def rejected(name: str, reason: str, **facts: object) -> Rejected:
    """Return the rejection of the file ``name``.

    Args:
        name: Name of the file within its source; unprintable characters are escaped.
        reason: Key of :data:`REASONS` or of ``karyotyping.image.decode.REASONS``.
        **facts: Values for the sentence of that reason.

    >>> rejected("a.tif", "locked").sentence
    'The file is locked by a password; make the archive without one.'
    """
    return Rejected(printable(name), reason, _SENTENCES[reason].format(**facts))


def is_printable(text: str) -> bool:
    r"""Return whether a database, a report and a terminal can show ``text`` unchanged.

    >>> is_printable("ä.tif"), is_printable("a\nb.tif")
    (True, False)
    """
    return _UNPRINTABLE.search(text) is None


def printable(text: str) -> str:
    r"""Return ``text`` with every unprintable character escaped.

    >>> print(printable("a\nb"))
    a\nb
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
