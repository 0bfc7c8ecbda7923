"""Completions to record: single ones, and as many kinds as hypothesis can generate."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from briggs.types.completions import Attempt, Completion, Fix, create_id

# Every code point, halves of surrogate pairs and NUL included, as Python's `str` has them.
texts = st.text(st.characters(), max_size=12) | st.sampled_from(["\0", "\ud83d", "a\0\udfff", ""])
integers = st.integers(-(2**70), 2**70) | st.sampled_from([2**63 - 1, -(2**63), 2**63])
floats = st.floats(allow_nan=False)
bodies = st.binary(max_size=200) | st.just(b"\xff\xfe\0" * 2_000)


def completions() -> st.SearchStrategy[Completion]:
    """Settled completions of any content."""
    return st.builds(
        Completion,
        id=st.builds(lambda prefix: prefix + create_id(), texts),
        organization_id=texts,
        created_at=st.integers(0, 2**53),
        status=st.sampled_from(["finished", "failed"]),
        source=st.sampled_from(["gateway", "client"]),
        stream=st.booleans(),
        provider=st.none() | texts,
        model=texts,
        response_model=st.none() | texts,
        response_id=st.none() | texts,
        system_fingerprint=st.none() | texts,
        seed=st.none() | integers,
        user=st.none() | texts,
        session_id=st.none() | texts,
        tags=st.lists(texts, max_size=3),
        metadata=st.dictionaries(texts, texts, max_size=3),
        finish_reasons=st.lists(texts, max_size=3),
        violates=st.lists(texts, max_size=3),
        fixes=st.lists(st.builds(Fix, texts, texts), max_size=3),
        dropped=st.lists(texts, max_size=3),
        prompt_tokens=st.none() | integers,
        completion_tokens=st.none() | integers,
        total_tokens=st.none() | integers,
        cached_tokens=st.none() | integers,
        cache_write_tokens=st.none() | integers,
        reasoning_tokens=st.none() | integers,
        usage_source=st.none() | st.just("provider"),
        cost_usd=st.none() | floats,
        price_source=st.none() | texts,
        duration_ms=st.none() | floats,
        first_token_ms=st.none() | floats,
        p_mean=st.none() | floats,
        p_least=st.none() | floats,
        key_id=st.none() | texts,
        attempts=st.lists(
            st.builds(
                Attempt,
                target=texts,
                status=st.none() | st.integers(100, 599),
                duration_ms=st.floats(allow_nan=False, allow_infinity=False),
                reason=st.none() | texts,
            ),
            max_size=3,
        ),
        retry_count=integers,
        retry_of=st.none() | texts,
        http_status=st.none() | integers,
        failure_kind=st.none() | texts,
        failure_reason=st.none() | texts,
        call_site=st.dictionaries(texts, texts, max_size=2),
        start_reported=st.booleans(),
        redacted=st.dictionaries(texts, st.integers(0, 9), max_size=2),
        request=bodies,
        response=st.none() | bodies,
        received=st.none() | bodies,
    )


def finished(**members: Any) -> Completion:
    """A plain finished completion."""
    defaults: dict[str, Any] = {
        "organization_id": "default",
        "status": "finished",
        "provider": "openai",
        "model": "openai/gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "response_id": f"chatcmpl-{create_id()}",
        "finish_reasons": ["stop"],
        "request": create_request("Who made the first table of common logarithms?"),
        "response": create_response("Henry Briggs did."),
    }
    return Completion(**defaults | members)


def create_request(said: str) -> bytes:
    messages = [{"role": "user", "content": said}]
    return json.dumps({"model": "openai/gpt-4o", "messages": messages}).encode()


def create_response(said: str) -> bytes:
    message = {"role": "assistant", "content": said, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
