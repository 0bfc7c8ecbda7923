"""Moderations over HTTP, as OpenAI's package asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Moderation

from tests.processes import Server, Upstream, run_server
from tests.web.visitor import Visitor

CATEGORIES = {
    field.alias or name: False
    for name, field in Moderation.model_fields["categories"].annotation.model_fields.items()  # type: ignore[union-attr]
}
RESULT = {
    "flagged": True,
    "categories": CATEGORIES,
    "category_scores": dict.fromkeys(CATEGORIES, 0.5),
    "category_applied_input_types": {key: ["text"] for key in CATEGORIES},
}
ANSWER = json.dumps({"id": "modr-1", "model": "omni-moderation-latest", "results": [RESULT]})
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def moderate(handler: Any, seen: Any) -> None:
    answer = b"{}" if b'"odd"' in seen.body else ANSWER.encode()
    handler.send_whole(200, answer)


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    vendor = Upstream({"openai": moderate})
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def briggs(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("moderations")
    with run_server(folder / "data", config=vendor.config()) as server:
        yield server


@pytest.mark.parametrize(
    "given", ["bad", ["bad", "worse"], [{"type": "text", "text": "bad"}, PIXEL]]
)
def test_a_moderation(briggs: Server, vendor: Upstream, given: Any) -> None:
    """It passes as it is, is recorded whole, and its page can be read."""
    with openai.OpenAI(
        base_url=f"{briggs.url}/v1", api_key=briggs.key, _strict_response_validation=True
    ) as client:
        raw = client.moderations.with_raw_response.create(input=given, model="openai/m")
    assert raw.parse().results[0].flagged
    assert raw.http_response.content == ANSWER.encode()
    assert vendor.seen[-1].json == {"input": given, "model": "m"}
    recorded = briggs.retrieve(raw.headers["x-briggs-completion-id"], "request")
    assert recorded["response"]["results"] == [RESULT]
    record = recorded["briggs"]
    assert (record["kind"], record["status"], record["response_id"]) == (
        *("moderation", "finished"),
        "modr-1",
    )
    assert Visitor(briggs).visit(f"/completions/{recorded['id']}").status == 200


def test_the_default_model(briggs: Server, vendor: Upstream) -> None:
    """Without a model, the specification's default is asked for."""
    reply = briggs.send("POST", "/v1/moderations", {"input": "bad"})
    assert reply.status == 200, reply.body
    assert vendor.seen[-1].json["model"] == "omni-moderation-latest"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "openai/m"}, 400, "input"),
        ({"model": "openai/m", "input": []}, 400, "input"),
        ({"model": "local/briggs-tiny", "input": "a"}, 400, "model"),
        ({"model": "openai/odd", "input": "a"}, 502, None),
    ],
)
def test_errors(briggs: Server, body: dict[str, Any], status: int, param: str | None) -> None:
    """Bad requests and bad answers have one error, and a record."""
    reply = briggs.send("POST", "/v1/moderations", body)
    assert (reply.status, reply.json["error"]["param"]) == (status, param)
    assert briggs.find(reply)["briggs"]["status"] == "failed"
