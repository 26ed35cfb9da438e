"""Hostile files: each is rejected for its named reason, and good ones are ingested."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from sqlalchemy import select

from db import schema
from db.engine import SessionFactory
from ingest.batch import ingest
from ingest.printable import printable
from ingest.sources.base import Source
from ingest.sources.content import describe_passed_over
from ingest.sources.folder import FolderSource
from ingest.sources.labels import Labels
from ingest.sources.location import open_source
from ingest.sources.upload import UploadedFile, UploadSource
from karyotyping.image.decode import ImageRejected, decode
from storage import DirectoryStore, key_of
from tests.support import unknown_files

GREY = np.random.default_rng(7).integers(0, 256, (96, 128), dtype=np.uint8)
RGB = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


def encode(pixels: Any, kind: str, **options: Any) -> bytes:
    """``pixels``, an array or a Pillow image, as a file of ``kind``."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def tiff(pixels: Any, **options: Any) -> bytes:
    """``pixels`` as tifffile writes them."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def png(width: int, height: int, *more: tuple[bytes, bytes], colour_type: int = 0, rows: bytes | None = None) -> bytes:
    """A PNG of that header, with the chunks ``more`` before its rows, black by default."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))
    body = zlib.compress(bytes((width + 1) * height) if rows is None else rows)
    chunks = b"".join(chunk(name, content) for name, content in more)
    return b"\x89PNG\r\n\x1a\n" + header + chunks + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff_directory(
    width: int,
    height: int,
    *,
    tags: int | None = None,
    following: int = 0,
    strip_count: int = 1,
    compression: int = 1,
) -> bytes:
    """A little-endian TIFF of one directory; ``tags`` and ``following`` may be wrong."""
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, strip_count, 200),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, 100),
    ]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<4sIH", b"II*\0", 8, tags or len(entries)) + packed + struct.pack("<I", following) + bytes(300)


def tiff_circle() -> bytes:
    """Two pages of a TIFF of which each names the other as the next."""
    data = bytearray(tiff(np.stack([GREY, GREY]), photometric="minisblack"))
    first = struct.unpack_from("<I", data, 4)[0]
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, link)[0]
    struct.pack_into("<I", data, second + 2 + 12 * struct.unpack_from("<H", data, second)[0], first)
    return bytes(data)


def bmp(width: int, height: int) -> bytes:
    """An 8-bit BMP with that header and a few bytes of image."""
    header = struct.pack("<2sIHHI", b"BM", 1078, 0, 0, 54)
    return header + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0) + bytes(1024)


def jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose header claims that size."""
    data = bytearray(encode(GREY, "JPEG"))
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, height, width)
    return bytes(data)


def broken_checksum() -> bytes:
    """A PNG of which one bit of the pixels' checksum is wrong."""
    data = bytearray(encode(GREY, "PNG"))
    data[data.index(b"IEND") - 5] ^= 1
    return bytes(data)


_TRUE_TIFF, _TRUE_PNG, _TRUE_JPEG, _TRUE_BMP = (encode(GREY, kind) for kind in ("TIFF", "PNG", "JPEG", "BMP"))
_PAGES = [Image.fromarray(GREY), Image.fromarray(GREY.T.copy())]
_HOLES = np.dstack([RGB, GREY])

FILES: dict[str, tuple[str, bytes]] = {
    "zero bytes.tif": ("empty_file", b""),
    "text.tif": ("not_an_image", b"Dear colleague, the metaphases are attached.\n"),
    "zeros.png": ("not_an_image", bytes(4096)),
    "noise.jpg": ("not_an_image", np.random.default_rng(1).bytes(4096)),
    "pdf.png": ("unsupported_format", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    "zip.tif": ("unsupported_format", b"PK\x03\x04" + bytes(64)),
    "gif.gif": ("unsupported_format", encode(GREY, "GIF")),
    "gif.png": ("unsupported_format", encode(GREY, "GIF")),
    "webp.webp": ("unsupported_format", encode(RGB, "WEBP")),
    "heic.jpg": ("unsupported_format", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)),
    "dicom.dcm": ("unsupported_format", bytes(128) + b"DICM" + bytes(64)),
    "truncated.tif": ("truncated", _TRUE_TIFF[: len(_TRUE_TIFF) // 2]),
    "truncated lzw.tif": ("truncated", (lzw := encode(GREY, "TIFF", compression="tiff_lzw"))[: len(lzw) // 2]),
    "truncated.png": ("truncated", _TRUE_PNG[: len(_TRUE_PNG) // 2]),
    "truncated.jpg": ("truncated", _TRUE_JPEG[: len(_TRUE_JPEG) // 2]),
    "truncated.bmp": ("truncated", _TRUE_BMP[: len(_TRUE_BMP) // 2]),
    "only magic.tif": ("truncated", b"II*\0"),
    "only magic.png": ("damaged", b"\x89PNG\r\n\x1a\n"),
    "only magic.jpg": ("damaged", b"\xff\xd8\xff\xe0"),
    "only magic.bmp": ("truncated", b"BM"),
    "wrong checksum.png": ("damaged", broken_checksum()),
    "wrong stream.png": ("damaged", png(128, 96, rows=b"").replace(b"IDATx", b"IDATy")),
    "many tags.tif": ("damaged", tiff_directory(128, 96, tags=65_535)),
    "many strips.tif": ("truncated", tiff_directory(128, 96, strip_count=2**32 - 1)),
    "no height.tif": ("damaged", tiff_directory(128, 0)),
    "circle.tif": ("multi_page", tiff_circle()),
    "huge.png": ("too_many_pixels", png(60_000, 60_000, rows=b"")),
    "huge.tif": ("too_many_pixels", tiff_directory(60_000, 60_000)),
    "huge.jpg": ("too_many_pixels", jpeg(65_500, 65_500)),
    "huge.bmp": ("too_many_pixels", bmp(60_000, 60_000)),
    "largest.tif": ("too_many_pixels", tiff_directory(2**32 - 1, 2**32 - 1)),
    "bomb.png": ("too_many_pixels", png(9_000, 9_000)),
    "bomb in text.png": ("damaged", png(128, 96, (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))))),
    "negative width.bmp": ("damaged", bmp(-128, 96)),
    "negative height.bmp": ("truncated", bmp(128, -96)),
    "one pixel.png": ("too_small", encode(GREY[:1, :1], "PNG")),
    "a line.tif": ("too_small", encode(GREY[:1], "TIFF")),
    "raw of a camera.tif": ("unsupported_colour", tiff(GREY, photometric="cfa")),
    "deep cmyk.tif": ("unsupported_colour", tiff(np.uint16(257) * np.dstack([RGB, GREY]), photometric="separated")),
    "negative float.tif": ("unsupported_pixel_type", tiff(GREY.astype(np.float32) - 1)),
    "large float.tif": ("unsupported_pixel_type", tiff(GREY.astype(np.float32) * 1000)),
    "fax.tif": ("unsupported_compression", tiff_directory(128, 96, compression=4)),
    "channels.ome.tif": ("ambiguous_channel", tiff(np.stack([GREY, GREY[::-1]]), ome=True, metadata={"axes": "CYX"})),
    "nan.tif": ("unsupported_pixel_type", tiff(np.full_like(GREY, np.nan, dtype=np.float64))),
    "signed.tif": ("unsupported_pixel_type", tiff(GREY.astype(np.int16))),
    "32 bit.tif": ("unsupported_pixel_type", tiff(GREY.astype(np.uint32))),
    "complex.tif": ("unsupported_pixel_type", tiff(GREY.astype(np.complex64))),
    "black or white.png": ("unsupported_pixel_type", encode(Image.fromarray(GREY).convert("1"), "PNG")),
    "holes.png": ("transparent_image", encode(_HOLES, "PNG")),
    "pages.tif": ("multi_page", encode(_PAGES[0], "TIFF", save_all=True, append_images=_PAGES[1:])),
    "film.png": ("multi_page", encode(_PAGES[0], "PNG", save_all=True, append_images=[_PAGES[0].rotate(180)])),
}
"""Hostile files by name: the reason that each must get, and its content."""

GOOD = {
    "good.tif": encode(GREY, "TIFF", compression="tiff_lzw"),
    "good.png": encode(np.uint16(257) * GREY, "PNG"),
    "good.jpg": encode(RGB, "JPEG"),
    "good.bmp": encode(GREY, "BMP"),
    "a png named so.tif": encode(RGB, "PNG"),
    "cmyk.jpg": encode(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "cmyk.tif": encode(Image.fromarray(RGB).convert("CMYK"), "TIFF"),
    "lab.tif": encode(Image.fromarray(RGB).convert("LAB"), "TIFF"),
    "float.tif": tiff(GREY.astype(np.float32)),
    "palette.png": encode(Image.fromarray(RGB).quantize(16), "PNG"),
    "palette.tif": encode(Image.fromarray(RGB).quantize(16), "TIFF"),
    "palette.bmp": encode(Image.fromarray(RGB).quantize(16), "BMP"),
}


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _unreadable(path: Path) -> None:
    path.write_bytes(GOOD["good.tif"])
    path.chmod(0)


PLACES: dict[str | bytes, tuple[str, Callable[[Path], None]]] = {
    "link out.tif": ("symlink_outside_folder", _link("../outside.tif")),
    "folder out": ("symlink_outside_folder", _link("..")),
    "dangling.tif": ("broken_symlink", _link("nowhere.tif")),
    "ouroboros.tif": ("broken_symlink", _link("ouroboros.tif")),
    "folder.png": ("not_a_file", Path.mkdir),
    "pipe.tif": ("not_a_file", os.mkfifo),
    "new\nline.tif": ("unsafe_name", lambda path: path.write_bytes(GOOD["good.tif"]) and None),
    b"latin-1 \xe9.tif": ("unsafe_name", lambda path: path.write_bytes(GOOD["good.tif"]) and None),
    "right\u202eto left.tif": ("unsafe_name", lambda path: path.write_bytes(GOOD["good.tif"]) and None),
}
"""Hostile things that are not files of bytes: the reason that each must get, and how it is made."""

if os.geteuid():
    PLACES["forbidden.tif"] = ("unreadable_file", _unreadable)


@pytest.mark.parametrize("name", FILES)
def test_hostile_bytes_get_their_reason(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    expected, data = FILES[name]
    with pytest.raises(ImageRejected) as caught:
        decode(data)
    assert caught.value.reason == expected
    assert caught.value.sentence.endswith(".")
    assert "{" not in caught.value.sentence
    assert capfd.readouterr() == ("", "")


def test_hostile_files_do_not_stop_good_ones(
    tmp_path: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int
) -> None:
    folder = tmp_path / "batch"
    folder.mkdir()
    (tmp_path / "outside.tif").write_bytes(GOOD["good.tif"])
    expected: dict[str, str] = {}
    for name, (reason, data) in FILES.items():
        (folder / name).write_bytes(data)
        expected[name] = reason
    for place, (reason, make) in PLACES.items():
        make(Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(place))))
        expected[printable(os.fsdecode(place))] = reason
    for name, data in GOOD.items():
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("passed over")
    (folder / ".hidden.tif").write_text("passed over")

    summary = ingest(session_factory, store, FolderSource(folder), pipeline_id=pipeline_id)

    assert len(expected) >= 30
    assert {rejection.name: rejection.reason for rejection in summary.rejected} == expected
    assert (summary.new, summary.duplicate) == (len(GOOD), 0)
    assert summary.passed_over == {".txt": 1, "hidden": 1}
    with session_factory() as session:
        assert set(session.scalars(select(schema.Image.file_name))) == set(GOOD)
        assert set(session.scalars(select(schema.Analysis.image_id))) == set(summary.image_ids)
        Row = schema.Rejection
        rows = session.execute(select(Row.file_name, Row.reason, Row.sentence)).all()
        assert sorted(rows) == sorted(map(tuple, summary.rejected))
        assert set(store.keys()) == set(session.scalars(select(schema.Image.object_key)))


@pytest.mark.parametrize("kind", ["archive", "upload", "prefix"])
def test_hostile_bytes_get_the_same_reason_from_every_source(
    kind: str,
    request: pytest.FixtureRequest,
    store: DirectoryStore,
    session_factory: SessionFactory,
    pipeline_id: int,
) -> None:
    contents = {name: data for name, (_, data) in FILES.items()} | GOOD
    with _source(kind, contents, request) as source:
        summary = ingest(session_factory, store, source, pipeline_id=pipeline_id)
    assert {rejection.name: rejection.reason for rejection in summary.rejected} == {
        name: reason for name, (reason, _) in FILES.items()
    }
    assert summary.new == len(GOOD)
    with session_factory() as session:
        batch = session.get_one(schema.IngestBatch, summary.batch_id)
        assert (batch.kind, batch.new_count, batch.rejected_count) == (kind, len(GOOD), len(FILES))
        assert set(session.scalars(select(schema.Image.file_name))) == set(GOOD)
        for image in session.scalars(select(schema.Image)):
            assert image.object_key == key_of(GOOD[image.file_name])
            assert image.sha256 == sha256(GOOD[image.file_name]).hexdigest()


@pytest.mark.parametrize("kind", ["archive", "upload", "prefix"])
def test_files_of_any_name_get_an_answer_from_every_source(
    kind: str,
    request: pytest.FixtureRequest,
    store: DirectoryStore,
    session_factory: SessionFactory,
    pipeline_id: int,
) -> None:
    files = {name: data for name, data in unknown_files.FILES.items() if name != ".DS_Store"}
    with _source(kind, files, request) as source:
        summary = ingest(session_factory, store, source, pipeline_id=pipeline_id)
    assert {rejection.name: rejection.reason for rejection in summary.rejected} == unknown_files.REASONS
    assert summary.passed_over == {kind: n for kind, n in unknown_files.PASSED_OVER.items() if kind != "hidden"}
    assert summary.to_json()["passed_over"] == summary.passed_over
    assert "9 files passed over: 2 text, 1 .db, " in describe_passed_over(summary.passed_over)
    assert not summary.found_nothing
    with session_factory() as session:
        assert set(session.scalars(select(schema.Image.file_name))) == set(unknown_files.IMAGES)


@pytest.mark.parametrize("names", [[], ["list.xml", "notes"], ["core", "scan.PDF"]])
def test_a_folder_without_images_has_found_nothing(
    tmp_path: Path, store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int, names: list[str]
) -> None:
    (tmp_path / "batch").mkdir()
    for name in names:
        (tmp_path / "batch" / name).write_bytes(unknown_files.FILES[name])
    summary = ingest(session_factory, store, FolderSource(tmp_path / "batch"), pipeline_id=pipeline_id)
    assert summary.found_nothing
    assert summary.passed_over.total() + len(summary.rejected) == len(names)


@contextmanager
def _source(kind: str, contents: dict[str, bytes], request: pytest.FixtureRequest) -> Iterator[Source]:
    """Serve ``contents`` as an archive, an upload or a prefix of a bucket."""
    if kind == "upload":
        yield UploadSource([UploadedFile(name, io.BytesIO(data)) for name, data in contents.items()], Labels("C-1"))
        return
    if kind == "archive":
        path: Path = request.getfixturevalue("tmp_path") / "monday.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
        with open_source(str(path)) as source:
            yield source
        return
    client, bucket = request.getfixturevalue("s3_client"), request.getfixturevalue("bucket")
    for name, data in contents.items():
        client.put_object(Bucket=bucket, Key=f"monday/{name}", Body=data)
    with open_source(f"s3://{bucket}/monday", endpoint_url=request.getfixturevalue("s3_endpoint")) as source:
        yield source
