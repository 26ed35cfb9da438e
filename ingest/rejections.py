"""Reasons for which a file or a whole batch is not taken."""

from __future__ import annotations

from typing import NamedTuple

from ingest.printable import printable
from karyotyping.image import decode

REASONS = {
    "unsafe_name": "The name holds control characters or is not UTF-8; rename the file.",
    "not_a_file": "It is a {kind} and no file; put the image itself here, or remove it.",
    "nested_archive": "The file is {kind}; unpack it, or give it to karyo by itself.",
    "symlink_outside_folder": "The link leads out of the folder; copy the image into the folder.",
    "broken_symlink": "The link leads nowhere or in a circle; copy the image into the folder.",
    "unreadable_file": "The file cannot be read ({error}); check its permissions and the disk.",
    "missing_file": "Line {line}: there is no such file; check the path, which starts at the manifest's folder.",
    "ambiguous_path": "Line {line}: the path can mean {names}; write the exact name of one.",
    "absolute_path": "Line {line}: the path is an absolute one of another system; write it from the manifest's folder.",
    "path_outside_folder": "Line {line}: the path leads out of the manifest's folder; move the manifest or the image.",
    "missing_path": "Line {line}: the column path is empty; name the image.",
    "listed_twice": "Line {line}: the image is listed on an earlier line too; keep one of them.",
    "bad_date": "{where}captured_at is {value!r}; write it like 2024-05-31, 2024-05-31T14:30:00+02:00 or 31.05.2024.",
    "ambiguous_date": "{where}captured_at is {value!r}, with day and month in either order; write it like 2024-05-31.",
    "cell_is_date": "{where}{column} is a date in the workbook; format the cell as text and write it again.",
    "cell_error": "{where}{column} is the error {value} in the workbook; mend its formula.",
    "cell_without_value": "{where}{column} is a formula without a stored value; save the workbook in Excel again.",
    "cell_long_number": "{where}{column} is a number of more than {limit} digits, of which a workbook keeps {limit}; "
    "format the cell as text and write it again.",
    "cell_number_format": "{where}{column} is the number {value} shown by the format {format}; "
    "format the cell as text and write it as it is shown.",
    "bad_plane": "{where}plane is {value!r}; write its number from 0 to {last}, or leave it empty.",
    "bad_priority": "{where}priority is {value!r}; write stat, routine or backlog, or leave it empty.",
    "no_single_one": "{where}{column} is {value!r}, which would count as one {column}; name it, or leave it empty.",
    "bad_text": "{where}{column} holds control characters, or others that are not seen; write it again by hand.",
    "bad_path": "{where}{column} holds a backslash, or an empty part, . or .. between slashes; write it without them.",
    "empty_text": "{where}{column} is empty; name it, or leave it out.",
    "long_text": "{where}{column} has more than {limit} characters; shorten it.",
    "case_exists": "Case {case} exists: its images came from {place} on {day}. A folder's name adds to no other "
    "folder's case; give --case ACCESSION to add to it on purpose, or another accession.",
    "known_in_other_case": "The same bytes are {file} of case {known}, so they are not taken for case {case}; "
    "check which patient the image is of.",
    "erased_meanwhile": "The case of these bytes was erased while the batch was read; ingest the file again.",
    "other_laboratory": "Case {case} is of laboratory {known}, not {given}; give its laboratory, or another accession.",
    "other_tissue": "Case {case} is of tissue {known}, not {given}; give its tissue, or another accession.",
    **{
        f"other_{column}": f"The image is known in case {{case}} with {column} {{known}}, not {{given}}; "
        f"give its {column}, or leave it out."
        for column in ("slide", "culture", "colony", "banding", "microscope", "captured_at", "channel", "plane")
    },
    "too_many_values": "Line {line}: there are more values than named columns; put quotes around values with commas.",
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
    "manifest_unreadable": "{path} cannot be read as CSV or XLSX ({error}); save it as CSV UTF-8 or as XLSX.",
    "manifest_missing_column": "The manifest {path} has no column {column}; its first line names columns of: {known}.",
    "manifest_duplicate_column": "{path} has two columns {column!r}; keep one of them.",
    "manifest_unknown_column": "The manifest {path} has a column {column!r}; remove it or use one of: {known}.",
}
"""Sentences by reason, for names, labels and sources; those of images are ``karyotyping.image.decode.REASONS``."""

_SENTENCES = decode.REASONS | REASONS
CONFLICTS = frozenset(
    {"case_exists", "known_in_other_case"} | {reason for reason in REASONS if reason.startswith("other_")}
)
"""Reasons of files whose labels contradict what is known: somebody must decide, so commands exit with 1."""


class Rejected(NamedTuple):
    """A file that is not taken: its name, a reason, and a sentence for people."""

    name: str
    reason: str
    sentence: str


class IngestError(Exception):
    """A batch that cannot be started: its ``reason`` and a printable ``sentence`` for people."""

    def __init__(self, reason: str, **facts: object) -> None:
        self.reason = reason
        self.sentence = printable(REASONS[reason].format(**facts))
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
    return Rejected(printable(name), reason, printable(_SENTENCES[reason].format(**facts)))
