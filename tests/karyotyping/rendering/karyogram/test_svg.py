"""The karyogram as SVG: the layout of the raster, with descriptions."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from karyotyping.model import Atypical, Chromosome
from karyotyping.rendering.karyogram import draw_karyogram, karyogram_svg
from karyotyping.rendering.karyogram.layout import compose

if TYPE_CHECKING:
    from conftest import MakeCell, MakeChromosome

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def marked(chromosome: MakeChromosome) -> list[Chromosome]:
    """Return two chromosomes 21, one uncertain, p arm down and bent, and one without a class."""
    uncertain = chromosome(21, class_score=0.41, orientation="p_down", flags=frozenset({"bent", "touching"}))
    return [chromosome(21), uncertain, chromosome(None, orientation="unknown")]


def test_svg_and_raster_have_the_same_layout(marked: list[Chromosome], cell: MakeCell) -> None:
    analysis = cell(marked)
    page, root = compose(analysis, "t"), ElementTree.fromstring(karyogram_svg(analysis, "t"))
    boxes = [
        tuple(int(image.get(side, "")) for side in ("x", "y", "width", "height")) for image in root.iter(f"{SVG}image")
    ]
    assert boxes == [item.box for slot in page.slots for item in slot.placed]
    assert (int(root.get("height", "")), int(root.get("width", ""))) == draw_karyogram(analysis, "t").shape[:2]
    texts = {text.text for some in [page.marks, *(slot.marks for slot in page.slots)] for text in some.texts}
    assert texts <= {text.text for text in root.iter(f"{SVG}text")}


def test_each_chromosome_is_a_group_with_data_attributes(marked: list[Chromosome], cell: MakeCell) -> None:
    root = ElementTree.fromstring(karyogram_svg(cell(marked)))
    groups = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    assert groups["class-21"].get("data-copies") == "2"
    assert {group.get("id") for group in groups["class-21"]} >= {"chromosome-0", "chromosome-1"}
    uncertain = groups["chromosome-1"]
    data = {name: value for name, value in uncertain.items() if name.startswith("data-")}
    assert data == {
        "data-class": "21",
        "data-class-score": "0.4100",
        "data-score": "0.9500",
        "data-p-arm": "up",
        "data-flags": "bent touching",
    }
    assert uncertain.findtext(f"{SVG}title", "").startswith("Chromosome 21, 41.0 %, to check.")
    unidentified = groups["chromosome-2"]
    assert (unidentified.get("data-class"), unidentified.get("data-p-arm")) == ("?", "unknown")
    assert "Not identified" in unidentified.findtext(f"{SVG}title", "")


def test_a_flagged_chromosome_names_the_bands_that_differ(chromosome: MakeChromosome, cell: MakeCell) -> None:
    found = Atypical(0.001, 0.97, 1.0)
    flagged = chromosome(9, atypical=found, flags=frozenset({"atypical_banding"}))
    root = ElementTree.fromstring(karyogram_svg(cell([flagged, chromosome(9, atypical=found)])))
    groups = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    assert groups["chromosome-0"].get("data-atypical-bands") == "q34"
    assert "Differs from its homolog or class, see the bar. Most at q34." in groups["chromosome-0"].findtext(
        f"{SVG}title", ""
    )
    assert groups["chromosome-1"].get("data-atypical-bands") is None


def test_the_images_are_the_chromosomes_p_arm_up(marked: list[Chromosome], cell: MakeCell) -> None:
    root = ElementTree.fromstring(karyogram_svg(cell(marked)))
    for image in root.iter(f"{SVG}image"):
        kind, data = image.get("href", "").split(",")
        assert kind == "data:image/png;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert pixels.shape == (40, 12)  # without the white margin
    rotated = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "chromosome-1")
    data = rotated.find(f"{SVG}image").get("href", "").split(",")[1]  # type: ignore[union-attr]
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))[[0, -1], 0].tolist() == [200, 0]


@pytest.mark.parametrize(
    "title", ['</title><script>alert("1")</script>&amp;', "a\x00b\x1b\ud800\ufffe", "", "Präparat 中"]
)
def test_any_title_gives_a_document_without_scripts_and_references(
    marked: list[Chromosome], cell: MakeCell, title: str
) -> None:
    drawing = karyogram_svg(cell(marked), title)
    root = ElementTree.fromstring(drawing.encode())
    assert drawing.startswith("<svg ")
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "g", "image", "polyline", "rect", "text",
    }  # fmt: skip
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    if title.isprintable():
        assert root.findtext(f"{SVG}title") == f"Karyogram {title}".strip()


def test_the_document_has_a_name_and_a_summary_for_screen_readers(pairs: list[Chromosome], cell: MakeCell) -> None:
    root = ElementTree.fromstring(karyogram_svg(cell(pairs), "slide 1"))
    names = root.get("aria-labelledby", "").split()
    labels = {element.get("id"): element.text for element in root if element.get("id") in names}
    assert labels == {"title": "Karyogram slide 1", "summary": "46,XX, 46 chromosomes, 0 of them of an unsure class."}


def test_ids_are_unique(pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell) -> None:
    unidentified = [chromosome(None)] * 120
    ids = [element.get("id") for element in ElementTree.fromstring(karyogram_svg(cell([*pairs, *unidentified]))).iter()]
    given = [name for name in ids if name]
    assert len(given) == len(set(given)) > 46 + 120
