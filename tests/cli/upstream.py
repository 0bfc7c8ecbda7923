"""An upstream of a few models, whole and streamed, for the commands' tests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.waiting import PATIENCE_S

LOGPROBS = (-0.001, -0.05, -0.5, -1.2, -3.0)
"""One probability for each band of the legend, in a cycle."""

SAID = {
    "letters": "aé🎉!",
    "steers": "plain \x1b[2Jcleared\x07",
    "thinks": "So it is 42.",
}
"""The answers of some models. All other models repeat the prompt."""


@contextmanager
def open_upstream() -> Iterator[str]:
    """Run the upstream in a thread; yields its base URL.

    `echo` repeats; `letters` splits characters between tokens; `steers` sends control
    characters; `thinks` reasons first; `held` waits for `go_on` in the middle; `refuses` answers
    400; `cut` breaks off; `mends` answers, whole, with what must be mended.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


go_on = Event()
"""Lets the model `held` continue behind its first words."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        names = ["echo", "held", *SAID]
        models = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "tests"}
            for name in names
        ]
        self._answer(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = request["model"]
        if model == "refuses":
            message = {"message": "no, thank you", "type": "invalid_request_error"}
            self._answer(400, {"error": {**message, "param": None, "code": "refused"}})
        elif request.get("stream"):
            # Some tests hang up.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._stream(request)
        else:
            self._answer(200, _response(request))

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, request: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for number, chunk in enumerate(_chunks(request)):
            if request["model"] == "held" and number == 2:
                assert go_on.wait(PATIENCE_S)
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
            if request["model"] == "cut" and number == 2:
                return
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *values: Any) -> None:
        pass


def _tokens(request: dict[str, Any]) -> list[bytes]:
    said = SAID.get(request["model"]) or "You said: " + str(request["messages"][-1]["content"])
    if request["model"] == "letters":
        encoded = said.encode()
        return [encoded[:2], encoded[2:5], encoded[5:]]
    words = said.split(" ")
    return [words[0].encode(), *(f" {word}".encode() for word in words[1:])]


def _logprobs(tokens: list[bytes], start: int = 0) -> dict[str, Any]:
    content = [
        {
            "token": token.decode("utf-8", "replace"),
            "logprob": LOGPROBS[number % len(LOGPROBS)],
            "bytes": list(token),
            "top_logprobs": [{"token": "or\x1bso", "logprob": -4.0, "bytes": None}],
        }
        for number, token in enumerate(tokens, start)
    ]
    return {"content": content, "refusal": None}


def _usage(tokens: list[bytes]) -> dict[str, int]:
    return {
        "prompt_tokens": 7,
        "completion_tokens": len(tokens),
        "total_tokens": 7 + len(tokens),
    }


def _response(request: dict[str, Any]) -> dict[str, Any]:
    tokens = _tokens(request)
    message = {"role": "assistant", "content": b"".join(tokens).decode(), "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "logprobs": _logprobs(tokens) if request.get("logprobs") else None,
    }
    if request["model"] == "mends":
        del message["refusal"]
        choice["finish_reason"] = "end_turn"
    return {
        "id": "chatcmpl-whole",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request["model"] + "-2026",
        "choices": [choice],
        "usage": _usage(tokens),
    }


def _chunks(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tokens = _tokens(request)
    yield _chunk(request, {"role": "assistant", "content": ""})
    if request["model"] == "thinks":
        yield _chunk(request, {"reasoning_content": "Six times seven."})
    # A delta holds whole characters, its logprobs the tokens of which they are made.
    held: list[bytes] = []
    for number, token in enumerate(tokens):
        held.append(token)
        try:
            text = b"".join(held).decode()
        except UnicodeDecodeError:
            text = ""
        logprobs = _logprobs([token], number) if request.get("logprobs") else None
        yield _chunk(request, {"content": text}, logprobs=logprobs)
        held = [] if text else held
    yield _chunk(request, {}, finish_reason="stop")
    yield {**_chunk(request, {}), "choices": [], "usage": _usage(tokens)}


def _chunk(
    request: dict[str, Any],
    delta: dict[str, Any],
    *,
    finish_reason: str | None = None,
    logprobs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
    return {
        "id": "chatcmpl-streamed",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": request["model"] + "-2026",
        "choices": [choice],
    }
