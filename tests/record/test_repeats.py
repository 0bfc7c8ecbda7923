"""Callers' retries, and the first try that each belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from briggs.record.repeats import REMEMBERED_MAX, REMEMBERED_S, Retries
from briggs.types.completions import Completion
from tests.api.behaviours import ok
from tests.processes import Server, Upstream, create_response, run_server

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def create_retry(request: bytes = b"body", *, number: int = 1) -> Completion:
    return Completion(organization_id="default", request=request, retry_count=number)


def test_every_retry_is_of_the_first_try() -> None:
    """The second retry is linked to the first try too, not to the first retry."""
    retries = Retries()
    first, second, third = (create_retry(number=number) for number in range(3))
    retries.remember(first, key_id="k")
    retries.link(second, key_id="k")
    retries.remember(second, key_id="k")
    retries.link(third, key_id="k")
    assert (second.retry_of, third.retry_of) == (first.id, first.id)


def test_a_retry_elsewhere() -> None:
    """A retry that comes to another process is linked to the first try too."""
    here, there = Retries(), Retries()
    here.tell = there.note
    first, second = create_retry(), create_retry()
    here.remember(first, key_id="k")
    there.link(second, key_id="k")
    assert second.retry_of == first.id


def test_a_try_is_repeated_once() -> None:
    """A linked call is forgotten unless it fails again."""
    retries = Retries()
    retries.remember(create_retry(), key_id="k")
    retries.link(create_retry(), key_id="k")
    later = create_retry()
    retries.link(later, key_id="k")
    assert later.retry_of is None


@pytest.mark.parametrize(("key_id", "request_"), [("other", b"body"), ("k", b"other")])
def test_others_are_not_linked(key_id: str, request_: bytes) -> None:
    """Another key, or another body, is another call."""
    retries = Retries()
    retries.remember(create_retry(), key_id="k")
    stranger = create_retry(request_)
    retries.link(stranger, key_id=key_id)
    assert stranger.retry_of is None


@pytest.mark.parametrize(
    ("elapsed_s", "is_linked"), [(REMEMBERED_S - 1, True), (REMEMBERED_S, False)]
)
def test_minutes(elapsed_s: float, is_linked: bool) -> None:
    """A try is remembered for minutes. After that, its retry is not linked."""
    now = 1000.0
    retries = Retries(clock=lambda: now)
    first, retry = create_retry(), create_retry()
    retries.remember(first, key_id="k")
    now += elapsed_s
    retries.link(retry, key_id="k")
    assert retry.retry_of == (first.id if is_linked else None)


def test_bound() -> None:
    """The number of remembered calls is limited, and the oldest is forgotten first."""
    retries = Retries()
    tries = [create_retry(b"%d" % number) for number in range(REMEMBERED_MAX + 1)]
    for each in tries:
        retries.remember(each, key_id="k")
    oldest, second = create_retry(b"0"), create_retry(b"1")
    retries.link(oldest, key_id="k")
    retries.link(second, key_id="k")
    assert (oldest.retry_of, second.retry_of) == (None, tries[1].id)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose upstream fails on each request until the third try."""
    seen: list[bytes] = []

    def third_time_lucky(handler: Any, request: Any) -> None:
        seen.append(request.body)
        if seen.count(request.body) < 3:
            handler.send_whole(503, b"{}", {"retry-after-ms": "1"})
        else:
            handler.send_whole(200, json.dumps(create_response()).encode())

    upstream = Upstream({"lucky": third_time_lucky, "ok": ok})
    folder = tmp_path_factory.mktemp("retries")
    with run_server(folder / "data", config=upstream.config()) as running:
        yield running
    upstream.close()


def test_retries_of_a_real_client(server: Server) -> None:
    """OpenAI's package tries three times: three calls are recorded, two as retries of the first."""
    with OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=2) as client:
        client.chat.completions.create(model="lucky/m-1", messages=MESSAGES)
    query = "status=any&order=asc&model=lucky/m-1"
    page = server.send("GET", f"/v1/chat/completions?{query}").json["data"]
    first, second, third = (item["briggs"] for item in page)
    assert [each["retry_count"] for each in (first, second, third)] == [0, 1, 2]
    assert [each["status"] for each in (first, second, third)] == ["failed", "failed", "finished"]
    assert first["retry_of"] is None
    assert second["retry_of"] == third["retry_of"] == first["id"]


def test_retry_of_what_succeeded(server: Server) -> None:
    """A call that was answered is not linked as the first try of a retry."""
    request = {"model": "ok/m-1", "messages": MESSAGES}
    server.chat(request)
    reply = server.chat(request, headers={"x-stainless-retry-count": "1"})
    assert server.find(reply)["briggs"]["retry_of"] is None
