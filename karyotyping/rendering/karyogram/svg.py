"""A karyogram as a drawing that scales, can be searched, and tells each chromosome's story when it is pointed at."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from karyotyping.model import CellAnalysis
from karyotyping.nomenclature.classes import class_name
from karyotyping.rendering.karyogram.layout import compose
from karyotyping.rendering.karyogram.legend import spoken
from karyotyping.rendering.karyogram.page import COLOURS, DASH, ClassSlot, Marks, PlacedChromosome

_TYPEFACES = "Aileron, Helvetica, Arial, 'Liberation Sans', sans-serif"
_CRISP = {"shape-rendering": "crispEdges"}
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) cannot hold, not even escaped."""


def karyogram_svg(cell: CellAnalysis, title: str = "") -> str:
    """The karyogram of ``cell`` as a standalone SVG document; ``title`` stands above it.

    It holds no script and refers to nothing outside. Each chromosome is a group ``chromosome-ORDINAL`` within the group
    ``class-NAME``, with its class, its scores, its posture and its flags as ``data-`` attributes.
    """
    page = compose(cell, title)
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(page.width),
            "height": str(page.height),
            "viewBox": f"0 0 {page.width} {page.height}",
            "role": "graphics-document document",
            "aria-labelledby": "title summary",
            "font-family": _TYPEFACES,
        },
    )
    _say(root, "title", f"Karyogram {title}".strip(), id="title")
    _say(root, "desc", page.summary, id="summary")
    ET.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "white"})
    for number, slot in enumerate(page.slots):
        _slot(root, slot, number)
    _write(root, page.marks)
    return ET.tostring(root, encoding="unicode")


def _slot(parent: ET.Element, slot: ClassSlot, number: int) -> None:
    name = class_name(slot.class_id) if slot.class_id is not None else f"unidentified-{number}"
    copies = {"data-copies": str(len(slot.placed)), "data-usual-copies": str(slot.usual_copies)}
    group = ET.SubElement(parent, "g", {"id": f"class-{name}", **copies})
    for placed in slot.placed:
        _chromosome(group, placed)
    _write(group, slot.marks)


def _chromosome(parent: ET.Element, placed: PlacedChromosome) -> None:
    item = placed.chromosome
    group = ET.SubElement(
        parent,
        "g",
        {
            "id": f"chromosome-{item.ordinal}",
            "role": "graphics-symbol img",
            "data-class": item.label,
            "data-class-score": f"{item.class_score:.4f}",
            "data-score": f"{item.score:.4f}",
            "data-p-arm": "unknown" if item.orientation == "unknown" else "up",
            "data-flags": " ".join(sorted(item.flags)),
        },
    )
    _say(group, "title", spoken(item))
    x, y, width, height = map(str, placed.box)
    place = {"x": x, "y": y, "width": width, "height": height, "preserveAspectRatio": "none"}
    ET.SubElement(group, "image", {**place, "href": _data_uri(placed.pixels)})
    _write(group, placed.marks)


def _write(parent: ET.Element, marks: Marks) -> None:
    for stroke in marks.strokes:
        points = " ".join(f"{x:g},{y:g}" for x, y in stroke.points)
        dashes = {"stroke-dasharray": str(DASH)} if stroke.dashed else {}
        ET.SubElement(
            parent, "polyline", {"points": points, "fill": "none", "stroke": COLOURS[stroke.tone], **_CRISP, **dashes}
        )
    for word in marks.words:
        look = {"font-size": str(word.size), "fill": COLOURS[word.tone], "text-anchor": word.anchor}
        _say(parent, "text", word.text, x=f"{word.x:g}", y=f"{word.y:g}", **look)


def _say(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")
