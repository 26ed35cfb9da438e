"""Artefacts of analyses."""

from __future__ import annotations

from sqlalchemy import update

from db.engine import SessionFactory
from db.schema import Analysis
from tests.support.web import Open, png


def test_only_artefacts_are_served_as_objects(open_app: Open, analysed: list[int]) -> None:
    address = f"/objects/analyses/{analysed[0]}/karyogram"
    with open_app() as client:
        found = client.get(address)
        again = client.get(address, headers={"If-None-Match": found.headers["etag"]})
        assert client.get(f"/objects/analyses/{analysed[0]}/overlay").status_code == 404
        assert client.get("/objects/analyses/999999/karyogram").status_code == 404
        assert client.get("/objects/sha256/00/" + "0" * 62).status_code == 404
    assert found.headers["content-type"] == "image/png"
    assert found.content == png(0)
    assert again.status_code == 304


def test_an_svg_may_show_its_own_images_and_load_nothing(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        drawing = client.get(f"/objects/analyses/{analysed[1]}/karyogram_svg")
        assert client.get(f"/objects/analyses/{analysed[0]}/karyogram_svg").status_code == 404
    assert drawing.headers["content-type"] == "image/svg+xml"
    policy = drawing.headers["content-security-policy"]
    assert "default-src 'none'; img-src data:;" in policy
    assert "sandbox" in policy


def test_a_removed_artefact_says_when_and_why(
    open_app: Open, analysed: list[int], session_factory: SessionFactory
) -> None:
    with session_factory.begin() as session:
        changed = update(Analysis).where(Analysis.id == analysed[0])
        session.execute(changed.values(artefacts={}, removed_artefacts={"karyogram": "2026-11-30"}))
    with open_app() as client:
        gone = client.get(f"/objects/analyses/{analysed[0]}/karyogram")
        assert client.get(f"/objects/analyses/{analysed[0]}/overlay").status_code == 404
        page = client.get("/cases/A/slide 1").text
    assert gone.status_code == 410
    assert "removed by the retention policy on 2026-11-30; re-analyse the image" in gone.json()["detail"]
    assert gone.json()["detail"] in page
