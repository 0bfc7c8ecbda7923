"""The probes of the older completions API: what `briggs check --api completions` sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from briggs.checker import expectations
from briggs.checker.endpoint import ProbeExchange
from briggs.checker.expectations import find
from briggs.checker.probes import Probe, ProbeWriter
from briggs.rules import Finding
from briggs.types import json
from briggs.types.any_json import integer, members

_API = ProbeWriter("completions", {"max_tokens": 64})
_probe, _ask = _API.probe, _API.ask


def expect_cut(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """A text is not longer than the limit. A model may end it earlier."""
    for exchange in exchanges:
        try:
            usage = members(members(json.decode(exchange.body)).get("usage"))
        except msgspec.DecodeError:
            continue
        count = integer(usage.get("completion_tokens"))
        if exchange.is_answered and count is not None and count > _FEW:
            yield find(f"{expectations.NOT_CUT}: it has {count} tokens", exchange.body)


_FEW = 4
_SUM: Mapping[str, Any] = {"prompt": "17 + 25 ="}
_COUNT = {"prompt": "1 2 3 4 5 6"}
_STREAM = {"stream": True}
_REFUSED = expectations.expect_refusal("warning")

TEXT_PROBES = (
    _probe("plain", "a sum", _SUM),
    _probe("stream", "the same, streamed", {**_SUM, **_STREAM}),
    _probe(
        "stream-usage",
        "streamed, with usage",
        {**_SUM, **_STREAM, "stream_options": {"include_usage": True}},
    ),
    _probe("n", "two choices", {**_SUM, "n": 2}, {**_SUM, "n": 2, **_STREAM}),
    _probe("prompts", "two prompts", {"prompt": ["17 + 25 =", "18 + 25 ="]}),
    _probe(
        "logprobs",
        "logprobs with three alternatives",
        {**_SUM, "logprobs": 3},
        {**_SUM, "logprobs": 3, **_STREAM},
    ),
    _probe("stop", "a text that ends before a stop sequence", {**_COUNT, "stop": ["9"]}),
    _probe(
        "length",
        "a long text within a few tokens",
        {**_COUNT, "max_tokens": _FEW},
        expect=expect_cut,
    ),
    _probe(
        "wrong-types",
        "parameters of the wrong type; they should be refused",
        {**_SUM, "temperature": "hot"},
        {**_SUM, "n": 0},
        {"prompt": {"text": "17 + 25 ="}},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _probe(
        "unknown-model",
        "a model that does not exist; it should be refused",
        {**_SUM, "model": "no-such-model-of-briggs-check"},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _probe(
        "no-json",
        "a body that is not JSON; it should be refused",
        b'{"prompt": [',
        expect=expectations.expect_refusal("error"),
        is_wrong=True,
    ),
    Probe(
        "hang-up",
        "a text after another caller has hung up",
        (_ask({**_COUNT, **_STREAM}, hangs_up=True), _ask(_SUM)),
    ),
)
"""In the order in which they run."""
