"""The application and its schema."""

from __future__ import annotations

from tests.support.web import Open


def test_the_schema_of_the_api_is_published(open_app: Open) -> None:
    with open_app() as client:
        schema = client.get("/openapi.json").json()
    paths = schema["paths"]
    assert {"/api/v1/images", "/api/v1/cases", "/api/v1/status", "/healthz", "/readyz"} <= set(paths)
    for path, method, status in (
        ("/api/v1/status", "get", "200"),
        ("/api/v1/cases/{accession}", "get", "200"),
        ("/api/v1/cases/{accession}", "get", "404"),
        ("/api/v1/images", "post", "201"),
        ("/api/v1/images", "post", "413"),
        ("/api/v1/images", "post", "422"),
        ("/healthz", "get", "200"),
        ("/readyz", "get", "503"),
    ):
        answer = paths[path][method]["responses"][status]["content"]["application/json"]["schema"]
        fields = schema["components"]["schemas"][answer["$ref"].rpartition("/")[2]]["properties"]
        assert fields, (path, status)
    listed = paths["/api/v1/cases"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert listed["items"]["$ref"].endswith("/CaseListEntry")
    summary = schema["components"]["schemas"]["SummaryDocument"]["properties"]
    assert {"count_distribution", "consensus", "ranking"} <= set(summary)
