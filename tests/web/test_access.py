"""API keys, foreign hosts and foreign pages."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import func, select

from db.engine import SessionFactory
from db.schema import ApiKey, Image
from tests.support.web import Open, png, send


def test_configured_writes_need_a_key(open_app: Open, pipeline_id: int, session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        for key, scopes, revoked in (
            ("good", ["write"], None),
            ("", ["write"], None),
            ("old", ["write"], datetime.now(UTC)),
            ("reader", ["read"], None),
        ):
            digest = sha256(key.encode()).hexdigest()
            session.add(ApiKey(name=key, key_sha256=digest, scopes=scopes, revoked_at=revoked))
    with open_app(embedded=False, host="karyo.lab") as client:
        codes = {}
        for key in ("", "wrong", "old", "reader", "good"):
            client.headers["Authorization"] = f"Bearer {key}"
            code, answer = send(client, ("a.png", png(2)))
            codes[key] = code
            assert str(answer).count("The API key is empty.") == (key == "")
        assert client.get("/api/v1/status").status_code == 200
    assert codes == {"": 401, "wrong": 401, "old": 401, "reader": 403, "good": 201}
    with session_factory() as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 1


def test_pages_of_other_sites_can_neither_write_nor_read(open_app: Open, pipeline_id: int) -> None:
    with open_app() as client:
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", ""):
            refused = client.get("/api/v1/cases", headers={"Host": host})
            assert refused.status_code == 400
            assert "frame-ancestors 'none'" in refused.headers["content-security-policy"]
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
            assert client.get("/api/v1/cases", headers={"Host": host}).status_code == 200
        client.headers["Origin"] = "https://evil.example"
        assert send(client, ("a.png", png()))[0] == 403
        client.headers["Origin"] = "http://127.0.0.1"
        assert send(client, ("a.png", png()))[0] == 201
