"""The usage of each model, day by day."""

from __future__ import annotations

from typing import Any

import pytest

from tests.processes import Server, create_response

DAY_MS = 86_400_000
FIRST_DAY_MS = 1_704_067_200_000
"""2024-01-01."""


@pytest.fixture(scope="module")
def used(log10: Server) -> Server:
    """Three days of two models, and calls that do not count."""
    calls: list[tuple[int, str, int, list[str]]] = [
        (0, "alpha", 5, ["a"]), (0, "alpha", 7, ["a", "b"]), (0, "beta", 1, ["b"]),
        (1, "alpha", 2, ["a"]), (2, "beta", 3, ["a", "b"]),
    ]  # fmt: skip
    for day, model, tokens, tags in calls:
        usage = {"prompt_tokens": tokens, "completion_tokens": 10 * tokens}
        body = {
            "created_at_ms": FIRST_DAY_MS + day * DAY_MS + DAY_MS - 1,
            "tags": [f"used-{tag}" for tag in tags],
            "response": create_response(model=model, usage=usage),
        }
        assert log10.send("POST", "/api/v1/completions", body).status == 200
    failed = {"status": "failed", "created_at_ms": FIRST_DAY_MS, "request": {"model": "alpha"}}
    log10.send("POST", "/api/v1/completions", failed)
    return log10


def find(server: Server, query: str) -> list[tuple[str, str, int, int]]:
    reply = server.send("GET", f"/api/metrics/modelStats?organization_id=default&{query}")
    assert reply.status == 200, reply.body
    rows: list[dict[str, Any]] = reply.json["data"]
    for row in rows:
        assert row["metric"] == "tokens_per_model_per_day"
        assert row["total_tokens"] == row["input_tokens"] + row["output_tokens"]
        assert row["output_tokens"] == 10 * row["input_tokens"]
    return [
        (row["timestamp"][:10], row["model"], row["input_tokens"], row["completions_count"])
        for row in rows
    ]


def test_by_model_and_day(used: Server) -> None:
    """The newest day comes first, and the last day of the range belongs to it."""
    assert find(used, "startDate=2024-01-01&endDate=2024-01-03") == [
        ("2024-01-03", "beta", 3, 1), ("2024-01-02", "alpha", 2, 1),
        ("2024-01-01", "alpha", 12, 2), ("2024-01-01", "beta", 1, 1),
    ]  # fmt: skip
    assert find(used, "startDate=2024-01-02&endDate=2024-01-02") == [("2024-01-02", "alpha", 2, 1)]
    times = "startDate=2024-01-01T00:00:00Z&endDate=2024-01-03T00:00:00.000Z"
    assert len(find(used, times)) == 3


@pytest.mark.parametrize("tags", ["tags=used-a,used-b", "tags=used-a&tags=used-b"])
def test_tags(used: Server, tags: str) -> None:
    """Tags may be separated by commas or repeated. All of them must match."""
    assert find(used, f"startDate=2024-01-01&endDate=2024-01-03&{tags}") == [
        ("2024-01-03", "beta", 3, 1), ("2024-01-01", "alpha", 7, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "param"),
    [("", "startDate"), ("startDate=2024-01-01", "endDate"),
     ("startDate=2024-01-01&endDate=9999-12-31", "endDate"), ("startDate=January", "startDate")],
)  # fmt: skip
def test_dates_are_required(used: Server, query: str, param: str) -> None:
    """Both dates are required. The error names the one that is missing or invalid."""
    reply = used.send("GET", f"/api/metrics/modelStats?{query}")
    assert (reply.status, reply.json["param"]) == (400, param)
