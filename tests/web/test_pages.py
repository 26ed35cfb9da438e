"""The pages."""

from __future__ import annotations

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
