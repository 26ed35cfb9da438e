"""The page as a drawing: the same places as in the pixels, and everything there is to know."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from karyotyping.model import Chromosome
from karyotyping.rendering.karyogram import draw_karyogram, karyogram_svg
from karyotyping.rendering.karyogram.layout import compose

if TYPE_CHECKING:
    from conftest import MakeCell, MakeChromosome

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def marked(chromosome: MakeChromosome) -> list[Chromosome]:
    """A pair of chromosomes 21, one of them unsure, upside down and bent, and one that fits no class."""
    odd = chromosome(21, class_score=0.41, orientation="p_down", flags=frozenset({"bent", "touching"}))
    return [chromosome(21), odd, chromosome(None, orientation="unknown")]


def test_both_renderings_are_the_same_page(marked: list[Chromosome], cell: MakeCell) -> None:
    found = cell(marked)
    page, root = compose(found, "t"), ElementTree.fromstring(karyogram_svg(found, "t"))
    places = [
        tuple(int(image.get(side, "")) for side in ("x", "y", "width", "height")) for image in root.iter(f"{SVG}image")
    ]
    assert places == [item.box for slot in page.slots for item in slot.placed]
    assert (int(root.get("height", "")), int(root.get("width", ""))) == draw_karyogram(found, "t").shape[:2]
    written = {word.text for some in [page.marks, *(slot.marks for slot in page.slots)] for word in some.words}
    assert written <= {text.text for text in root.iter(f"{SVG}text")}


def test_each_chromosome_is_a_group_that_says_what_it_is(marked: list[Chromosome], cell: MakeCell) -> None:
    root = ElementTree.fromstring(karyogram_svg(cell(marked)))
    groups = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    assert groups["class-21"].get("data-copies") == "2"
    assert {group.get("id") for group in groups["class-21"]} >= {"chromosome-0", "chromosome-1"}
    odd = groups["chromosome-1"]
    data = {name: value for name, value in odd.items() if name.startswith("data-")}
    assert data == {
        "data-class": "21",
        "data-class-score": "0.4100",
        "data-score": "0.9500",
        "data-p-arm": "up",
        "data-flags": "bent touching",
    }
    assert odd.findtext(f"{SVG}title", "").startswith("Chromosome 21, 41.0 %, to check.")
    stranger = groups["chromosome-2"]
    assert (stranger.get("data-class"), stranger.get("data-p-arm")) == ("?", "unknown")
    assert "Not identified" in stranger.findtext(f"{SVG}title", "")


def test_the_pictures_are_the_chromosomes_p_arm_up(marked: list[Chromosome], cell: MakeCell) -> None:
    root = ElementTree.fromstring(karyogram_svg(cell(marked)))
    for image in root.iter(f"{SVG}image"):
        kind, data = image.get("href", "").split(",")
        assert kind == "data:image/png;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert pixels.shape == (40, 12)  # the white on both sides is left out
    turned = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "chromosome-1")
    data = turned.find(f"{SVG}image").get("href", "").split(",")[1]  # type: ignore[union-attr]
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))[[0, -1], 0].tolist() == [200, 0]


@pytest.mark.parametrize(
    "title", ['</title><script>alert("1")</script>&amp;', "a\x00b\x1b\ud800\ufffe", "", "Präparat 中"]
)
def test_any_title_makes_a_document_that_runs_and_loads_nothing(
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


def test_it_has_a_name_and_a_summary_for_those_who_cannot_see_it(pairs: list[Chromosome], cell: MakeCell) -> None:
    root = ElementTree.fromstring(karyogram_svg(cell(pairs), "slide 1"))
    names = root.get("aria-labelledby", "").split()
    said = {element.get("id"): element.text for element in root if element.get("id") in names}
    assert said == {"title": "Karyogram slide 1", "summary": "46,XX, 46 chromosomes, 0 of them of an unsure class."}


def test_ids_are_unique(pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell) -> None:
    strangers = [chromosome(None)] * 120
    ids = [element.get("id") for element in ElementTree.fromstring(karyogram_svg(cell([*pairs, *strangers]))).iter()]
    given = [name for name in ids if name]
    assert len(given) == len(set(given)) > 46 + 120
