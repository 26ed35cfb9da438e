"""Content of case reports, and their files."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import select, update

from db.engine import SessionFactory
from db.schema import Case, CaseResult
from reports.case_report.document import CaseReport
from reports.case_report.page import to_html, to_pdf
from reports.case_report.read import read_case_report
from reports.case_report.to_check import ranges
from reports.case_report.write import encode
from reports.errors import CaseReportError, MissingExtra
from reviews import sign
from storage import DirectoryStore
from tests.reports.case_report.conftest import CHIMERA, NORMAL, TRISOMY, AddCase, picture

HOSTILE = "A/<script>alert('1')</script>&\"\N{SNOWMAN}"


class Page(HTMLParser):
    """Elements and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.bold: list[str] = []
        self._called = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._called = "called" in (attributes.get("class") or "").split()

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._called and data.strip():
            self.bold.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._called = False

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(sessions: SessionFactory, store: DirectoryStore, accession: str) -> CaseReport:
    with sessions() as session:
        return read_case_report(session, store, accession)


def test_a_normal_case_has_its_karyotype_in_bold(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("N-1", [NORMAL] * 20)
    report = read(session_factory, store, "N-1")
    page = Page(to_html(report))
    assert (report.outcome, report.karyotype, report.not_called) == ("normal", "46,XX", None)
    assert page.bold == ["46,XX"]
    assert [(one.name, one.needed, one.found) for one in report.sufficiency.requirements] == [
        ("counted", 20, 20), ("analysed", 5, 20), ("karyotyped", 2, 20),
    ]  # fmt: skip
    assert "The policy for blood is met. Mosaicism of 14 % or more is excluded with 95 % confidence" in page.text
    assert "Not signed." in page.text
    assert "20: 1-20" in page.text
    assert report.to_check == [
        "Chromosomes whose class is below 80 % probable: 20, in cells 1-20.",
        "Not examined: structural abnormalities, submicroscopic changes, uniparental disomy.",
    ]
    assert "d" * 64 in page.text
    assert "embedding <1>" in page.text


def test_a_class_that_is_atypical_in_many_cells_is_to_check_and_changes_no_karyotype(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("S-1", [NORMAL] * 20, atypical=4)
    add_case("S-2", [NORMAL] * 20, atypical=1)
    report, other = (read(session_factory, store, name) for name in ("S-1", "S-2"))
    sentence = "Chromosome 1 differs from its homolog or from normal ones in cells 1-4."
    assert (report.outcome, report.karyotype) == ("normal", "46,XX")
    assert sentence in report.to_check
    assert not [one for one in other.to_check if "differs" in one]


def test_the_report_says_which_cells_to_count_and_to_karyotype(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("C-1", [NORMAL] * 25)
    report = read(session_factory, store, "C-1")
    assert [one.cell for one in report.to_count] == list(range(1, 21))
    assert [one.cell for one in report.to_karyotype] == [1, 2, 3, 4, 5]
    reason = "46 chromosomes, all with a class; expected to correct: 0.2 outlines, 0.1 classes; band level 600."
    assert report.to_count[2].reason == reason
    assert report.cells[2].expected_edits == 0.3
    assert f"cell 3.png {reason}" in Page(to_html(report)).text


def test_a_low_or_unknown_band_level_is_said_and_the_karyotype_stays(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("B-1", [NORMAL] * 20, band_level=410)
    add_case("B-2", [NORMAL] * 20, band_level=None)
    low, unknown = (read(session_factory, store, accession) for accession in ("B-1", "B-2"))
    assert low.karyotype == unknown.karyotype == "46,XX"
    assert (low.sufficiency.band_level, low.sufficiency.band_level_wanted) == (410, 550)
    assert "Band level 410, 550 wanted: small structural changes may be missed." in Page(to_html(low)).text
    assert (low.cells[0].band_level, low.cells[0].band_level_low) == (410, 360)
    assert "The band level is unknown in cells 1-20." in unknown.to_check


def test_an_abnormal_mosaic_has_a_section_and_pictures_for_each_clone(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("M-1", [NORMAL] * 8 + [TRISOMY] * 12)
    report = read(session_factory, store, "M-1")
    page = Page(to_html(report))
    assert (report.outcome, report.karyotype) == ("abnormal", "mos 47,XX,+21[12]/46,XX[8]")
    assert page.bold == ["mos 47,XX,+21[12]/46,XX[8]"]
    assert [(clone.changes, clone.cells) for clone in report.clones] == [
        (["+21"], list(range(9, 21))), ([], list(range(1, 9))),
    ]  # fmt: skip
    assert [(one.kind, one.cell, one.clone) for one in report.pictures] == [
        ("karyogram", 9, 1), ("overlay", 9, 1), ("karyogram", 1, 2), ("overlay", 1, 2),
    ]  # fmt: skip
    assert base64.b64decode(report.pictures[0].data) == picture(208)
    assert "below 0.1 %" in page.text
    assert "10 more cells counted of 30: mosaicism is suspected or found." in page.text
    assert "The case has fewer cells than the policy asks for." in report.to_check
    assert [cell.clone for cell in report.cells] == [2] * 8 + [1] * 12


def test_a_suspected_case_has_no_karyotype_in_bold(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("S-1", [NORMAL] * 5 + [CHIMERA] * 5)
    report = read(session_factory, store, "S-1")
    page = Page(to_html(report))
    assert (report.outcome, report.karyotype) == ("suspected", None)
    assert report.not_called is not None
    assert report.not_called in page.text
    assert page.bold == []
    assert report.why in page.text


def test_an_insufficient_case_with_hostile_names_is_escaped(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    name = "<img src=x onerror=alert(1)> {}.png"
    add_case(HOSTILE, [NORMAL, NORMAL], file_name=name, tissue="</style><b>", unexplained_objects=2, failed=1)
    report = read(session_factory, store, HOSTILE)
    html = to_html(report)
    page = Page(html)
    assert (report.outcome, report.karyotype, page.bold) == ("insufficient", None, [])
    assert "Objects that may be chromosomes and are none in the result: 4, in cells 1, 2." in report.to_check
    assert "Images without a result: 3." in report.to_check
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "b", "i", "link", "iframe", "object"})
    assert HOSTILE in page.text
    assert "</style><b>" in page.text
    assert "Nothing <i>was</i> found." in page.text
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == len(report.pictures) > 0
    assert all((image["src"] or "").startswith("data:image/") for image in images)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_a_case_without_a_metaphase_shows_its_best_image(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("I-1", [{1: 20}, {1: 12}], called=False)
    report = read(session_factory, store, "I-1")
    page = Page(to_html(report))
    assert (report.outcome, report.clones, report.not_called) == ("insufficient", [], None)
    assert [(one.kind, one.cell, one.clone) for one in report.pictures] == [
        ("karyogram", 1, None),
        ("overlay", 1, None),
    ]
    assert "No image is a metaphase of one cell: the counts are 12 to 20." in page.text
    assert "Best cell" in page.text
    assert "These cells exclude no mosaicism." in page.text


def test_the_page_has_no_external_file(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("N-1", [NORMAL] * 5)
    html = to_html(read(session_factory, store, "N-1"))
    addresses = [
        value for _, attributes in Page(html).elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert all(address and address.startswith("data:") for address in addresses)
    assert "url(" not in html
    assert "@import" not in html


def test_a_pdf_has_a_page_for_each_clone(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case(HOSTILE, [NORMAL] * 8 + [TRISOMY] * 12)
    report = read(session_factory, store, HOSTILE)
    try:
        data = to_pdf(report)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    from weasyprint import HTML

    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert len(HTML(string=to_html(report)).render().pages) >= 1 + len(report.clones)


def test_json_round_trips_with_its_pictures(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("M-1", [NORMAL] * 8 + [TRISOMY] * 12)
    report = read(session_factory, store, "M-1")
    text = encode(report, "json")
    assert CaseReport.model_validate_json(text) == report
    document = json.loads(text)
    assert base64.b64decode(document["pictures"][0]["data"]) == picture(208)
    assert document["report_version"] == "1"


def test_fhir_is_a_preliminary_report_with_observations(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("M-1", [NORMAL] * 8 + [TRISOMY] * 12)
    add_case(HOSTILE, [NORMAL, NORMAL])
    bundle = json.loads(encode(read(session_factory, store, "M-1"), "fhir"))
    resources = [entry["resource"] for entry in bundle["entry"]]
    addresses = {entry["fullUrl"] for entry in bundle["entry"]}
    diagnostic, karyotype = resources[:2]
    assert (diagnostic["resourceType"], diagnostic["status"]) == ("DiagnosticReport", "preliminary")
    assert diagnostic["identifier"] == [{"value": "M-1"}]
    assert {one["reference"] for one in diagnostic["result"]} <= addresses
    assert len(diagnostic["result"]) == len([one for one in resources if one["resourceType"] == "Observation"]) == 8
    assert karyotype["valueCodeableConcept"]["coding"][0]["code"] == "mos 47,XX,+21[12]/46,XX[8]"
    assert karyotype["device"]["reference"] in addresses
    insufficient = json.loads(encode(read(session_factory, store, HOSTILE), "fhir"))
    assert "insufficient" in insufficient["entry"][1]["resource"]["dataAbsentReason"]["text"]
    assert insufficient["entry"][0]["resource"]["identifier"] == [{"value": HOSTILE}]


def test_a_stale_result_of_another_pipeline_says_so(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("N-1", [NORMAL] * 5)
    with session_factory.begin() as session:
        session.execute(update(CaseResult).values(state="stale"))
    assert read(session_factory, store, "N-1").to_check[0].startswith("Analyses of this case have ended since")


def test_a_case_without_a_result_is_one_sentence(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    with pytest.raises(CaseReportError, match="there is no case 'N-1'"):
        read(session_factory, store, "N-1")
    add_case("N-1", [NORMAL] * 5)
    with session_factory.begin() as session:
        session.execute(update(CaseResult).values(summary={"ranking": []}))
    with pytest.raises(CaseReportError, match="of an earlier version"):
        read(session_factory, store, "N-1")
    with session_factory.begin() as session:
        session.execute(update(CaseResult).values(summary=None))
    with pytest.raises(CaseReportError, match="no result yet"):
        read(session_factory, store, "N-1")


def test_ranges_shorten_runs_of_three() -> None:
    assert ranges([]) == ""
    assert ranges([3, 1, 2, 7, 9, 10]) == "1-3, 7, 9, 10"


def test_a_signed_case_has_the_signed_karyotype_in_bold(
    session_factory: SessionFactory, store: DirectoryStore, add_case: AddCase
) -> None:
    add_case("N-1", [NORMAL] * 20)
    with session_factory.begin() as session:
        case = session.scalars(select(Case).where(Case.accession == "N-1")).one()
        sign(session, case, reader="Ada", actor="ada@lab", required=2, karyotype="46,XX,t(1;2)(p36;q37)")
    report = read(session_factory, store, "N-1")
    assert (report.is_signed, "signed by the first reader" in Page(to_html(report)).text) == (False, True)
    with session_factory.begin() as session:
        case = session.scalars(select(Case).where(Case.accession == "N-1")).one()
        sign(session, case, reader="Bob", actor="bob@lab", required=2)
    report = read(session_factory, store, "N-1")
    page = Page(to_html(report))
    assert report.is_signed
    assert page.bold[0] == "46,XX,t(1;2)(p36;q37)"
    assert "Ada and Bob" in page.text
    assert "Not signed." not in page.text
    assert json.loads(encode(report, "fhir"))["entry"][0]["resource"]["status"] == "final"
