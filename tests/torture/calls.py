"""What callers ask, and what came of it for them."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from tests.api.otlp.test_traces import create_span, export
from tests.processes import create_response

GRADED_TAG: Final = "graded"
UNRECORDED: Final = b"the record cannot be written"
ORGANIZATION: Final = "default"
_MARKER = re.compile(rb"\[call (\d+)\]")
_WORDS = ("Hello", "grüß", "你好", "🙂", "12+34", "\\n", '"quoted"', "a" * 40)

Fate = Literal["running", "answered", "refused", "cut", "left"]
"""`answered`: the caller got the whole answer. `refused`: a whole error. `cut`: neither.
`left`: the caller hung up."""


class Kind(NamedTuple):
    """A way to call."""

    path: str
    create: Callable[[str, random.Random], dict[str, Any]]
    """The request that says a text."""
    end: bytes = b""
    """What the last bytes of a whole answer contain."""
    weight: int = 1
    is_repeated: bool = False
    """Whether the caller sends the same again until it is answered."""
    is_call: bool = True
    """Whether it becomes a completion of its own."""


@dataclass(slots=True)
class Call:
    """A call, and what its caller got."""

    number: int
    kind: str
    request: bytes
    headers: Mapping[str, str]
    fate: Fate = "running"
    status: int | None = None
    id: str | None = None
    answer: bytes = b""
    began_at: float = 0.0
    took_s: float = 0.0
    tries: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether this is a whole answer, and no error."""
        return self.status == 200 and KINDS[self.kind].end in self.answer[-1000:]

    @property
    def may_be_unrecorded(self) -> bool:
        """Whether its caller was told that there is no record of it."""
        return UNRECORDED in self.answer[-1000:]

    @property
    def shown(self) -> str:
        """What the caller got, in short."""
        return f"{self.fate}, {self.status}, {self.answer[-200:]!r}"


def mark(number: int) -> str:
    """What every text of a call contains, so that its record can be told from others."""
    return f"[call {number}]"


def find_number(request: bytes) -> int | None:
    """The number of the call that sent this. A history names earlier calls before it."""
    found = _MARKER.findall(request)
    return int(found[-1]) if found else None


def _say(said: str, draw: random.Random) -> dict[str, Any]:
    return {"model": "ok/m", "messages": [{"role": "user", "content": said}]}


def _say_again(said: str, draw: random.Random) -> dict[str, Any]:
    """A turn of an agent: a long history that other turns have too."""
    agent = draw.randrange(5)
    history = [
        {"role": role, "content": f"Agent {agent} said {turn} times that " + "this matters. " * 20}
        for turn in range(draw.randrange(2, 12))
        for role in ("user", "assistant")
    ]
    request = _say(said, draw)
    return {**request, "messages": [*history, *request["messages"]]}


def _say_for_grades(said: str, draw: random.Random) -> dict[str, Any]:
    return {**_say(said, draw), "metadata": {"briggs_tags": GRADED_TAG}}


def _say_locally(said: str, draw: random.Random) -> dict[str, Any]:
    return {**_say(said, draw), "model": "local/briggs-tiny", "max_tokens": 3}


def _prompt(said: str, draw: random.Random) -> dict[str, Any]:
    return {"model": "ok/gpt-5", "prompt": said}


def _generate(said: str, draw: random.Random) -> dict[str, Any]:
    return {"model": "ok/m", "prompt": said}


def _message(said: str, draw: random.Random) -> dict[str, Any]:
    return {**_say(said, draw), "max_tokens": 9}


def _input(said: str, draw: random.Random) -> dict[str, Any]:
    return {"model": "ok/m", "input": said}


def _streams(create: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    return lambda said, draw: {**create(said, draw), "stream": True}


def _is_whole(create: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    return lambda said, draw: {**create(said, draw), "stream": False}


def _post(said: str, draw: random.Random) -> dict[str, Any]:
    """A call that was answered elsewhere, and has an id already."""
    return {
        "id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "organization_id": ORGANIZATION,
        "kind": "chat",
        "status": "finished",
        "tags": ["posted"],
        "request": _say(said, draw),
        "response": create_response(said),
    }


def _trace(said: str, draw: random.Random) -> dict[str, Any]:
    trace, span = f"{draw.getrandbits(128) | 1:032x}", f"{draw.getrandbits(64) | 1:016x}"
    return export(create_span(said, traceId=trace, spanId=span))


_CHAT = "/v1/chat/completions"
_STOP = b'{"type":"message_stop"}\n\n'
_COMPLETED = b'"total_tokens":7}}}\n\n'
_DONE = b"data: [DONE]\n\n"
_LINE = b'"done":true'
GRADE: Final = "a grade"
LOCAL: Final = "a local model"

KINDS: Mapping[str, Kind] = {
    "chat": Kind(_CHAT, _say, weight=3),
    "chat, streamed": Kind(_CHAT, _streams(_say), _DONE, weight=3),
    "chat with a history": Kind(_CHAT, _say_again, weight=2),
    "chat for grades": Kind(_CHAT, _say_for_grades, weight=2),
    "embeddings": Kind("/v1/embeddings", lambda said, draw: {"model": "embeds/m", "input": said}),
    "completions": Kind("/v1/completions", _prompt),
    "completions, streamed": Kind("/v1/completions", _streams(_prompt), _DONE),
    "messages": Kind("/v1/messages", _message),
    "messages, streamed": Kind("/v1/messages", _streams(_message), _STOP),
    "responses": Kind("/v1/responses", _input),
    "responses, streamed": Kind("/v1/responses", _streams(_input), _COMPLETED),
    "Ollama's chat": Kind("/api/chat", _is_whole(_say)),
    "Ollama's chat, streamed": Kind("/api/chat", _say, _LINE),
    "Ollama's generate": Kind("/api/generate", _generate, _LINE),
    "a posted call": Kind("/api/v1/completions", _post, is_repeated=True),
    "a span": Kind("/v1/traces", _trace, is_repeated=True),
    GRADE: Kind("/api/v1/feedback", lambda said, draw: {"comment": said}, is_repeated=True,
                is_call=False),
    LOCAL: Kind(_CHAT, _say_locally, weight=0),
}  # fmt: skip


class Draws:
    """Draws calls from a seed. The same number is the same call, whenever it is sent."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._weights = [kind.weight for kind in KINDS.values()]

    def draw(self, number: int, *, local: bool = False) -> tuple[str, dict[str, Any]]:
        """The kind of a call, and its request."""
        draw = random.Random(f"{self._seed}/call/{number}")
        [name] = draw.choices([*KINDS], self._weights)
        if local and draw.random() < 0.2:
            name = LOCAL
        words = " ".join(draw.choices(_WORDS, k=draw.randrange(1, 60)))
        return name, KINDS[name].create(f"{words} {mark(number)}", draw)
