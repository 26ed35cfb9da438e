"""The table of file formats: what a file is, by its first bytes or its suffix."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

HEAD_BYTES = 4096  # first bytes of a file that decide its format

Role = Literal["decoded", "image", "archive", "document"]
"""``decoded``: :func:`karyotyping.image.decode.decode` reads it; ``image``: images or films that it does not read."""


class FileFormat(NamedTuple):
    """One format of files."""

    name: str
    """As in "The file is ..."; that of a decoded format is short."""
    role: Role
    magic: str | None
    """Regular expression of the first bytes, in Latin-1; None if the suffix alone decides."""
    suffixes: str = ""
    """Suffixes of images, separated by blanks. A file that has one is never passed over."""


_XML_PROLOG = r"(?:<\?xml[^>]*>|<!--(?:[^-]|-(?!->))*-->|<!DOCTYPE svg[^>]*>)"
_TABLE = (
    FileFormat("PNG", "decoded", r"\x89PNG\r\n\x1a\n", ".png .apng"),
    FileFormat("JPEG", "decoded", r"\xff\xd8\xff", ".jpg .jpeg .jpe .jfif .jif .jfi"),
    FileFormat("TIFF", "decoded", r"II\*\0|MM\0\*|II\+\0|MM\0\+", ".tif .tiff .btf .tf8 .lsm .stk .svs .ndpi .scn"),
    FileFormat("BMP", "decoded", "BM", ".bmp .dib"),
    FileFormat("CZI", "decoded", "ZISRAWFILE", ".czi"),
    FileFormat("LIF", "decoded", r"p\0\0\0.{4}\*", ".lif"),
    FileFormat("GIF", "image", "GIF8", ".gif"),
    FileFormat("WebP", "image", ".{8}WEBP", ".webp"),
    FileFormat("HEIF", "image", ".{4}ftyp(?:he[ivm][csxm]|mif1|msf1)", ".heic .heif .hif"),
    FileFormat("AVIF", "image", ".{4}ftypavi[fs]", ".avif"),
    FileFormat("JPEG 2000", "image", r".{4}jP(?:  |\x1a\x1a)|\xff\x4f\xff\x51", ".jp2 .j2k .jpf .jpx .jpm"),
    FileFormat("JPEG XL", "image", r"\xff\x0a|\0\0\0\x0cJXL ", ".jxl"),
    FileFormat("JPEG XR", "image", r"II\xbc\x01", ".jxr .wdp .hdp"),
    FileFormat("Photoshop", "image", "8BPS", ".psd .psb"),
    FileFormat("DICOM", "image", ".{128}DICM", ".dcm .dicom"),
    FileFormat("Nikon ND2", "image", r"\xda\xce\xbe\x0a", ".nd2"),
    FileFormat("Zeiss ZVI, Olympus OIB or another OLE file", "image", r"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".zvi .oib"),
    FileFormat("HDF5, as Imaris writes it", "image", r"\x89HDF\r\n\x1a\n", ".ims .h5 .hdf5"),
    FileFormat("NIfTI", "image", r".{344}(?:n\+1|ni1)\0|.{4}n\+2\0", ".nii"),
    FileFormat("MRC", "image", ".{208}MAP ", ".mrc"),
    FileFormat("FITS", "image", "SIMPLE  =", ".fits"),
    FileFormat("NRRD", "image", "NRRD000", ".nrrd"),
    FileFormat("a NumPy array", "image", r"\x93NUMPY", ".npy"),
    FileFormat("OpenEXR", "image", r"v/1\x01", ".exr"),
    FileFormat("GIMP", "image", "gimp xcf", ".xcf"),
    FileFormat("PNM", "image", r"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s|P7\nWIDTH ", ".pbm .pgm .ppm .pnm .pam"),
    FileFormat("PCX", "image", r"\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08]", ".pcx"),
    FileFormat("an icon", "image", r"\0\0[\x01\x02]\0[\x01-\x40]\0|icns", ".ico .cur .icns"),
    FileFormat("a Windows metafile", "image", r"\x01\0\0\0.{36} EMF|\xd7\xcd\xc6\x9a", ".emf .wmf"),
    FileFormat("DjVu", "image", r"AT&TFORM", ".djvu"),
    FileFormat("EPS", "image", r"%!PS-Adobe-[\d.]+ EPSF|\xc5\xd0\xd3\xc6", ".eps"),
    FileFormat("SVG", "image", rf"(?:\xef\xbb\xbf)?\s*(?:{_XML_PROLOG}\s*)*<svg\s", ".svg"),
    FileFormat("a camera's raw image", "image", r"FUJIFILM|IIR[OS]\x08\0|IIU\0|.{4}ftypcrx", ".raf .orf .rw2 .cr3"),
    FileFormat("a film", "image", r".{4}ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]", ".avi .mp4 .mov .mpg"),
    FileFormat("Olympus VSI, whose pixels are in .ets files", "image", None, ".vsi .ets"),
    FileFormat("MIRAX, whose pixels are in .dat files", "image", None, ".mrxs"),
    FileFormat("DeltaVision", "image", None, ".dv .r3d"),
    FileFormat("Targa", "image", None, ".tga"),
    FileFormat("a ZIP archive", "archive", r"PK(?:\x03\x04|\x05\x06|\x07\x08)"),
    FileFormat("a gzip archive", "archive", r"\x1f\x8b"),
    FileFormat("a 7z archive", "archive", r"7z\xbc\xaf\x27\x1c"),
    FileFormat("a RAR archive", "archive", r"Rar!\x1a\x07"),
    FileFormat("a tar archive", "archive", ".{257}ustar"),
    FileFormat("a bzip2 archive", "archive", r"BZh[1-9]1AY&SY"),
    FileFormat("an xz archive", "archive", r"\xfd7zXZ\0"),
    FileFormat("a Zstandard archive", "archive", r"\x28\xb5\x2f\xfd"),
    FileFormat("PDF", "document", "%PDF"),
    FileFormat("a database", "document", "SQLite format 3"),
    FileFormat("a Parquet table", "document", "PAR1"),
)  # fmt: skip
_MAGICS = tuple(
    (re.compile(file_format.magic.encode("latin-1"), re.DOTALL), file_format)
    for file_format in _TABLE
    if file_format.magic is not None
)
_BY_SUFFIX = {suffix: file_format for file_format in _TABLE for suffix in file_format.suffixes.split()}
IMAGE_SUFFIXES = frozenset(_BY_SUFFIX)
"""Suffixes of images, in lower case: of those that are decoded, and of those that are rejected by name."""


def format_of(data: bytes) -> FileFormat | None:
    r"""Return the format that the first bytes of a file show; None if it is none of the table.

    Args:
        data: content of the file, or at least its first :data:`HEAD_BYTES`.

    >>> format_of(b"\xff\xd8\xff\xe0").name, format_of(b"a,b\n1,2\n")
    ('JPEG', None)
    """
    return next((file_format for magic, file_format in _MAGICS if magic.match(data[:HEAD_BYTES])), None)


def format_by_name(name: str) -> FileFormat | None:
    """Return the format that the suffix of a file decides alone; None if the content decides.

    >>> format_by_name("slide.VSI").name, format_by_name("cell.tif")
    ('Olympus VSI, whose pixels are in .ets files', None)
    """
    file_format = _BY_SUFFIX.get(suffix_of(name))
    return file_format if file_format is not None and file_format.magic is None else None


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in lower case, without blanks after it.

    >>> suffix_of("A/cell 1.TIF "), suffix_of("A/cell"), suffix_of("cell.")
    ('.tif', '', '')
    """
    return PurePosixPath(name.rstrip()).suffix.lower().rstrip(".")
