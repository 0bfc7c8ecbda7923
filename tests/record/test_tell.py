"""Calls that were answered elsewhere: the posts give the same record in any order."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from briggs.record import tell as tell_module
from briggs.record.tell import Merge, Posted, read_told
from briggs.storage import Store
from briggs.types.completions import Completion, Status
from briggs.types.response import CreateChatCompletionResponse
from tests.processes import create_response

FINALITY: dict[Status, int] = {"started": 0, "failed": 1, "finished": 2}


def tell(posts: Iterable[Posted], before: Completion | None = None) -> Completion:
    """The completion after posts in this order."""
    for posted in posts:
        status = "started" if before is None else before.status
        before = Merge("c", posted, read_told("c", posted))(before)
        assert FINALITY[before.status] >= FINALITY[status], "a call that has ended starts again"
    assert before is not None
    return before


def request_of(call: int) -> bytes:
    return json.dumps({"model": f"model-{call}", "messages": []}).encode()


def post(status: Status, call: int = 0, **members: Any) -> Posted:
    """A post with the request of some call."""
    question = {"request": request_of(call), "tags": [f"tag-{call}"], "session_id": f"s-{call}"}
    return Posted(organization_id="default", status=status, **{**question, **members})


def finished(call: int = 0, **members: Any) -> Posted:
    response = json.dumps(create_response(model="gpt-4o")).encode()
    return post("finished", call, response=response, duration_ms=5.0, **members)


@st.composite
def mixed_up(draw: st.DrawFn) -> list[Posted]:
    """The posts of call 0: its start, and ends with another call's request."""
    other = draw(st.integers(1, 2))
    tags = draw(st.sampled_from([UNSET, [], ["tag-0"], ["a", "b"]]))
    started = post("started", 0, tags=tags)
    ends = draw(
        st.lists(
            st.sampled_from(
                [finished(other), post("failed", other, failure_kind="E", failure_reason="no")]
            ),
            max_size=4,
        )
    )
    return draw(st.permutations([started] * draw(st.integers(1, 2)) + ends))


@given(mixed_up())
def test_any_order(posts: list[Posted]) -> None:
    """Posts in any order, even repeated, give one record with the request of its `started` post."""
    completion = tell(posts)
    in_order = tell(sorted(posts, key=lambda posted: FINALITY[posted.status or "started"]))
    for each in (completion, in_order):
        each.created_at = 0
    assert completion == in_order
    started = next(posted for posted in posts if posted.status == "started")
    assert completion.request == started.request
    assert (completion.model, completion.session_id) == ("model-0", "s-0")
    assert completion.tags == (started.tags or [])


def test_the_first_word_counts_until_the_start_comes() -> None:
    """Until its `started` post comes, a call has the request of its end."""
    completion = tell([finished(2)])
    assert (completion.model, completion.tags, completion.source) == (
        "model-2", ["tag-2"], "client",
    )  # fmt: skip


def test_a_post_of_no_status_corrects() -> None:
    """A later post without a status replaces the members that it has."""
    corrected = Posted(organization_id="default", tags=["better"])
    completion = tell([post("started"), finished(), corrected])
    assert (completion.tags, completion.status) == (["better"], "finished")


def test_the_price_of_a_known_model() -> None:
    """A call has a price if all vendors of a model with that name charge the same."""
    completion = tell([finished()])
    assert completion.response_model == "gpt-4o"
    assert completion.cost_usd == pytest.approx((5 * 2.5 + 2 * 10) / 1e6)
    assert completion.price_source and completion.price_source.startswith("genai-prices")
    for model in ("mine", "gpt-oss-120b", ""):
        response = json.dumps(create_response(model=model)).encode()
        unknown = tell([post("finished", response=response)])
        assert (unknown.total_tokens, unknown.cost_usd, unknown.price_source) == (7, None, None)


class InThread:
    """Notes which functions run in the writer's thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.calls: list[tuple[str, str]] = []
        for name in names:
            monkeypatch.setattr(tell_module, name, self.note(name, getattr(tell_module, name)))

    def note(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, threading.current_thread().name))
            return call(*args, **kwargs)

        return noted


READERS = ("read_answer", "check_response", "price_logged", "_decode_object")


async def test_a_post_is_read_once_and_before_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A post's request and answer are each read once, and never in the writer's thread."""
    noted = InThread(monkeypatch, *READERS)
    store = await Store.open(tmp_path / "data")
    for posted in (post("started"), finished(), Posted(organization_id="default", tags=["t"])):
        await tell_module.tell("c", posted, store=store)
    names = [name for name, _ in noted.calls]
    assert names.count("read_answer") == names.count("price_logged") == 1
    assert names.count("_decode_object") == 2
    assert {thread for _, thread in noted.calls} == {threading.current_thread().name}
    completion = await store.completions.retrieve("c", organization_id="default")
    assert completion is not None
    assert (completion.model, completion.tags) == ("model-0", ["t"])
    assert completion.cost_usd == pytest.approx((5 * 2.5 + 2 * 10) / 1e6)
    await store.close()


@pytest.mark.parametrize("named_first", [False, True])
async def test_a_price_whose_model_another_post_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_first: bool
) -> None:
    """If the answer names no model, the request's gives the price, whichever is posted first."""
    noted = InThread(monkeypatch, *READERS)
    store = await Store.open(tmp_path / "data")
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    answer = {"choices": [{"message": {"role": "assistant", "content": "46"}}], "usage": usage}
    question = post("started", request=b'{"model": "gpt-4o", "messages": []}')
    end = Posted(organization_id="default", status="finished", response=json.dumps(answer).encode())
    for posted in (question, end) if named_first else (end, question):
        await tell_module.tell("c", posted, store=store)
    completion = await store.completions.retrieve("c", organization_id="default")
    assert completion is not None
    assert (completion.model, completion.response_model) == ("gpt-4o", None)
    assert completion.cost_usd == pytest.approx((5 * 2.5 + 2 * 10) / 1e6)
    assert {thread for _, thread in noted.calls} == {threading.current_thread().name}
    await store.close()


def test_a_logged_usage_in_other_words() -> None:
    """A logged call's cached tokens and cost are read under any vendor's names."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "prompt_cache_hit_tokens": 900}
    told = json.dumps(create_response(model="gpt-4o", usage=usage)).encode()
    completion = tell([post("finished", response=told)])
    assert completion.cached_tokens == 900
    assert completion.cost_usd == pytest.approx((100 * 2.5 + 900 * 1.25) / 1e6)
    told = json.dumps(create_response(model="m", usage={**usage, "cost": 0.5})).encode()
    completion = tell([post("finished", response=told)])
    assert (completion.cost_usd, completion.price_source) == (0.5, "provider")


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -1}, (None, None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (None, None, None)),
        ({"prompt_tokens": 2**70, "completion_tokens": 1}, (None, None, None)),
        ({"prompt_tokens": "3", "completion_tokens": True}, (None, None, None)),
        ({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 2}, (5, 4, 9)),
        ([], (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_usage(usage: object, counted: tuple[int | None, ...]) -> None:
    """Tokens without a count are unknown, and Anthropic's cached tokens are part of the prompt."""
    response = json.dumps(create_response(usage=usage)).encode()
    told = tell([post("finished", response=response)])
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == counted


@pytest.mark.parametrize("response", [b"[]", b"null", b"\xff", b'{"choices": 7}', b"[" * 5000])
def test_any_response(response: bytes) -> None:
    """An answer of any shape is kept as it came, and reads as the text of a completion."""
    completion = tell([post("finished", response=response)])
    assert (completion.received, completion.finish_reasons) == (response, [])
    read = msgspec.json.decode(completion.response or b"", type=CreateChatCompletionResponse)
    assert read.choices[0].message.content == response.decode("utf-8", "replace")


def test_what_briggs_answered_itself() -> None:
    """To a call that Briggs answered, posts add session, tags and call site, but no outcome."""
    own = Completion(
        organization_id="default",
        id="c",
        status="finished",
        request=b"{}",
        response=b"{}",
        tags=["own"],
    )
    before = msgspec.structs.replace(own)
    site = {"stacktrace": [{"line": "f()"}]}
    after = tell([post("started"), finished(1, call_site=site)], own)
    assert (after.source, after.request, after.response) == ("gateway", b"{}", b"{}")
    assert (after.duration_ms, after.status) == (before.duration_ms, "finished")
    assert (after.tags, after.session_id) == (["own", "tag-0"], "s-0")
    assert after.call_site["stacktrace"] == site["stacktrace"]
    corrected = tell([Posted(organization_id="default", tags=["better"])], after)
    assert corrected.tags == ["better"]
