"""The pages."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import uvicorn
from markupsafe import escape
from sqlalchemy import update

from db import campaigns
from db.engine import SessionFactory
from db.pipelines import register
from db.schema import Analysis, Case, CaseResult, QcMetrics
from karyotyping.case.cell import CellSummary
from karyotyping.case_summary import summarise
from reports.case_report.page import percent
from tests.support.web import Open


def test_pages_without_cases_are_served(open_app: Open) -> None:
    with open_app() as client:
        page = client.get("/")
        assert client.get("/static/style.css").status_code == 200
        assert client.get("/cases/nobody").status_code == 404
    assert page.status_code == 200
    assert "karyo ingest" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_pages_show_a_case_with_the_best_image_first(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        index = client.get("/").text
        page = client.get("/cases/A/slide%201").text
    assert "47,XY,+21" in index
    assert 'href="/cases/A/slide%201"' in index
    assert page.index("cell 1.png") < page.index("cell 0.png") < page.index("Nothing was found.")
    assert f'src="/objects/analyses/{analysed[1]}/karyogram"' in page
    assert page.count("/karyogram_svg") == page.count(f'href="/objects/analyses/{analysed[1]}/karyogram_svg"') == 1
    assert "blood &lt;b&gt;" in page
    assert "out of focus" in page
    assert 'value="2"' in page


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve the application at an address; the test client would decode a path twice."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def get(address: str) -> str:
    with urlopen(address) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    "accession",
    ["24-7", "A/slide 1", "a?b=c&d", "a#b", "100%", "a%2Fb", "Müller 7", "a+b;c:d@e", "<b>'\"", "~.x..y", "日本"],
)
def test_the_index_leads_to_the_page_of_every_case(
    open_app: Open, pipeline_id: int, session_factory: SessionFactory, accession: str
) -> None:
    with session_factory.begin() as session:
        session.add_all([Case(accession="other"), Case(accession=accession)])
    with open_app() as client, served(client.app) as address:
        links = re.findall(r'<th scope="row"><a href="([^"]*)">([^<]*)</a>', get(address))
        (link,) = (unescape(href) for href, text in links if unescape(text) == accession)
        assert f"<h1>{escape(accession)}</h1>" in get(address + link)
        assert json.loads(get(f"{address}/api/v1{link}"))["accession"] == accession


def test_a_case_is_found_by_every_spelling(open_app: Open, session_factory: SessionFactory) -> None:
    composed, decomposed = "M\u00fcller 7", "Mu\u0308ller  7 "
    with session_factory.begin() as session:
        session.add(Case(accession=composed))
    with open_app() as client:
        assert client.get(f"/cases/{quote(decomposed)}").status_code == 200
        assert client.get(f"/api/v1/cases/{quote(decomposed)}").json()["accession"] == composed
        assert client.get("/cases/a%00b").status_code == 404
        assert client.get("/api/v1/cases/a%00b").status_code == 404
        with session_factory.begin() as session:
            session.add(Case(accession=decomposed))  # as an earlier version recorded it
        assert client.get(f"/api/v1/cases/{quote(decomposed)}").json()["accession"] == decomposed
        assert client.get(f"/api/v1/cases/{quote(composed)}").json()["accession"] == composed


def test_pages_show_how_far_the_cells_agree(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        pages = [client.get("/").text, client.get("/cases/A/slide%201").text]
    for page in pages:
        assert '<strong class="karyotype">47,XY,+21</strong>' in page
        assert "2 of 2 cells with 47 chromosomes agree exactly." in page
        assert "100 % of 2 cells" in page
        assert "46–47" in page


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (
            {"resolution": "one_cell", "voters": 1, "why": "The case has one cell."},
            '47,XY,+21 <span class="tag">one cell</span>',
        ),
        (
            {"iscn": None, "resolution": "not_resolved", "karyotype_agreement": 0.5, "why": "Cells disagree."},
            '<span class="muted">not resolved</span>',
        ),
    ],
)
def test_pages_mark_one_cell_and_what_is_not_resolved(
    open_app: Open, analysed: list[int], session_factory: SessionFactory, values: dict[str, object], shown: str
) -> None:
    with session_factory.begin() as session:
        session.execute(update(CaseResult).values(values))
    with open_app() as client:
        pages = [client.get("/").text, client.get("/cases/A/slide%201").text]
    for page in pages:
        assert shown in page
        assert str(values["why"]) in page
        assert '<strong class="karyotype">' not in page


def test_an_image_that_is_no_metaphase_is_not_called(
    open_app: Open, analysed: list[int], session_factory: SessionFactory
) -> None:
    with session_factory.begin() as session:
        session.execute(update(Analysis).where(Analysis.id == analysed[0]).values(iscn=None))
        session.execute(update(QcMetrics).where(QcMetrics.analysis_id == analysed[0]).values(flags=["too_many"]))
    with open_app() as client:
        page = client.get("/cases/A/slide%201").text
        (_, image, _) = client.get("/api/v1/cases/A/slide 1").json()["images"]
    assert '<span class="muted">not called</span> · 47 chromosomes' in page
    assert "too many" in page
    assert (image["iscn"], image["flags"], image["chromosome_count"]) == (None, ["too_many"], 47)


def test_a_case_has_its_clones_and_the_band_level_of_each_cell(
    open_app: Open, analysed: list[int], session_factory: SessionFactory
) -> None:
    trisomy = {**dict.fromkeys(range(1, 24), 2), 21: 3}
    cells = [
        CellSummary(analysis_id, trisomy, 47, 0.8, called=True, band_level=550, outline_edits=edits, class_edits=0.1)
        for analysis_id, edits in zip(analysed[:2], (0.5, 0.2), strict=True)
    ]
    summary = summarise(cells, tissue="blood")
    with session_factory.begin() as session:
        session.execute(update(CaseResult).values(summary=summary.to_json()))
        session.execute(update(QcMetrics).values(band_level=550, band_level_low=500, band_level_high=600))
    with open_app() as client:
        page = " ".join(client.get("/cases/A/slide%201").text.split())
    assert '<span class="karyotype">47,XX,+21</span>' in page
    assert "<td>2: 1, 2</td><td>2: 1, 2</td>" in page
    (clone,) = summary.judgement.clones
    figures = [f'<td class="number">{percent(share)}</td>' for share in (clone.posterior, clone.artefact)]
    assert "".join(figures) in page
    assert "clone 1 · band level 550 (500–600)" in page
    assert page.index("Cell 1 · cell 1.png") < page.index("Cell 2 · cell 0.png") < page.index("Nothing was found.")
    assert "Band level of the karyotyped cells: 550, wanted 550." in page


def test_campaigns_are_listed_with_their_progress(
    open_app: Open, analysed: list[int], session_factory: SessionFactory
) -> None:
    with open_app() as client:
        assert "There is no campaign yet." in client.get("/campaigns").text
        with session_factory.begin() as session:
            new = register(session, {"name": "candidate"}, "e" * 64)
            filters = {"where": ["tissue!=marrow", "count<50"]}
            assert campaigns.create(session, pipeline_id=new, filters=filters, name="<spring>")
        page = " ".join(client.get("/campaigns").text.split())
    assert "&lt;spring&gt;" in page
    assert "tissue!=marrow and count&lt;50" in page
    assert "0 of 2 images" in page
    assert "candidate <code>eeeeeeeeeeee</code>" in page
