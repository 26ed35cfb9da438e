"""Karyogram as SVG: scalable, searchable, with a description of each chromosome."""

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
from karyotyping.rendering.karyogram.legend import atypical_bands, description
from karyotyping.rendering.karyogram.page import COLOURS, DASH, ClassSlot, Marks, PlacedChromosome

_TYPEFACES = "Aileron, Helvetica, Arial, 'Liberation Sans', sans-serif"
_CRISP = {"shape-rendering": "crispEdges"}
_INVALID_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) cannot hold, not even escaped."""


def karyogram_svg(cell: CellAnalysis, title: str = "") -> str:
    """Return the karyogram of ``cell`` under ``title`` as a standalone SVG document.

    The document has no script and no external reference. Each chromosome is a group ``chromosome-ORDINAL`` within the
    group ``class-NAME``, with class, scores, orientation and flags as ``data-`` attributes.
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
    _add_text(root, "title", f"Karyogram {title}".strip(), id="title")
    _add_text(root, "desc", page.summary, id="summary")
    ET.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "white"})
    for number, slot in enumerate(page.slots):
        _add_slot(root, slot, number)
    _add_marks(root, page.marks)
    return ET.tostring(root, encoding="unicode")


def _add_slot(parent: ET.Element, slot: ClassSlot, number: int) -> None:
    name = class_name(slot.class_id) if slot.class_id is not None else f"unidentified-{number}"
    copies = {"data-copies": str(len(slot.placed)), "data-usual-copies": str(slot.normal_copies)}
    group = ET.SubElement(parent, "g", {"id": f"class-{name}", **copies})
    for placed in slot.placed:
        _add_chromosome(group, placed)
    _add_marks(group, slot.marks)


def _add_chromosome(parent: ET.Element, placed: PlacedChromosome) -> None:
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
            **({"data-atypical-bands": place} if (place := atypical_bands(item)) else {}),
        },
    )
    _add_text(group, "title", description(item))
    x, y, width, height = map(str, placed.box)
    attributes = {"x": x, "y": y, "width": width, "height": height, "preserveAspectRatio": "none"}
    ET.SubElement(group, "image", {**attributes, "href": _data_uri(placed.pixels)})
    _add_marks(group, placed.marks)


def _add_marks(parent: ET.Element, marks: Marks) -> None:
    for stroke in marks.strokes:
        points = " ".join(f"{x:g},{y:g}" for x, y in stroke.points)
        dashes = {"stroke-dasharray": str(DASH)} if stroke.dashed else {}
        ET.SubElement(
            parent, "polyline", {"points": points, "fill": "none", "stroke": COLOURS[stroke.tone], **_CRISP, **dashes}
        )
    for text in marks.texts:
        style = {"font-size": str(text.size), "fill": COLOURS[text.tone], "text-anchor": text.anchor}
        _add_text(parent, "text", text.text, x=f"{text.x:g}", y=f"{text.y:g}", **style)


def _add_text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = _INVALID_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")
