"""Upstreams that fail in each way that the table in docs/errors.md names."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import time
from array import array
from typing import Any

import brotli

from tests.judges import upstream as models
from tests.processes import Behaviour, create_chunk, create_response

DONE = b"data: [DONE]\n\n"


def ok(handler: Any, seen: Any) -> None:
    """Answers as requested, whole or streamed, with the text of the last message."""
    request = seen.json
    said = request["messages"][-1]["content"]
    if not request.get("stream"):
        handler.send_whole(200, json.dumps(create_response(str(said))).encode())
        return
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": ""}))
    for word in str(said).split():
        handler.write_piece(create_chunk({"content": word}))
    handler.write_piece(create_chunk({}, finish_reason="stop"))
    usage = create_response()["usage"]
    chunk = {"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1790000000}
    chunk |= {"model": "m-1", "choices": [], "usage": usage}
    handler.write_piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    handler.write_piece(DONE)
    handler.write_piece(b"")


def embeds(handler: Any, seen: Any) -> None:
    """Answers with a vector for each text, in the encoding that was asked for."""
    asked = seen.json["input"]
    many = isinstance(asked, list) and not isinstance(asked[0], int)
    vectors = [array("f", [len(str(each)), 0.5]) for each in (asked if many else [asked])]
    packs = seen.json.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector).decode() if packs else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    answer = {"object": "list", "data": data, "model": "e-1", "usage": usage}
    handler.send_whole(200, json.dumps(answer).encode())


def moderates(handler: Any, seen: Any) -> None:
    """Finds nothing wrong with a text."""
    result = {"flagged": False, "categories": {}, "category_scores": {}}
    answer = {"id": "modr-1", "model": "omni", "results": [result], "said": seen.json["input"]}
    handler.send_whole(200, json.dumps(answer).encode())


def gzipped(handler: Any, seen: Any) -> None:
    body = gzip.compress(json.dumps(create_response("packed")).encode())
    handler.send_whole(200, body, {"content-encoding": "gzip"})


def brotlied(handler: Any, seen: Any) -> None:
    body = brotli.compress(json.dumps(create_response("pressed")).encode())
    handler.send_whole(200, body, {"content-encoding": "br"})


def answers(status: int, body: bytes, **headers: str) -> Behaviour:
    """Create an upstream that always sends the same answer."""

    def behave(handler: Any, seen: Any) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send_whole(status, body, named)

    return behave


def error(status: int, message: str, **headers: str) -> Behaviour:
    """An upstream that answers with OpenAI's error object."""
    details = {"message": message, "type": "vendor_error", "param": "p", "code": "c"}
    return answers(status, json.dumps({"error": details}).encode(), **headers)


def hangs(handler: Any, seen: Any) -> None:
    """Reads the request and sends nothing."""


def breaks_off(handler: Any, seen: Any) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "chatcmpl-1", ')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_stream(handler: Any, seen: Any) -> None:
    """Breaks off in mid-stream."""
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": ""}))
    handler.write_piece(create_chunk({"content": "Hel"}))
    handler.connection.shutdown(socket.SHUT_RDWR)


def ends_early(handler: Any, seen: Any) -> None:
    """Ends its stream properly, but without a finish_reason."""
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hel"}))
    handler.write_piece(b"")


def without_done(handler: Any, seen: Any) -> None:
    """Finishes every choice and never says [DONE]."""
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hello"}))
    handler.write_piece(create_chunk({}, finish_reason="stop"))
    handler.write_piece(b"")


def goes_on(handler: Any, seen: Any) -> None:
    """Streams a word every 20 ms until the caller has left."""
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": ""}))
    for number in range(500):
        handler.write_piece(create_chunk({"content": f"w{number} "}))
        time.sleep(0.02)
    handler.write_piece(b"")


def slow(handler: Any, seen: Any) -> None:
    """Answers after a second and a half."""
    time.sleep(1.5)
    ok(handler, seen)


BEHAVIOURS: dict[str, Behaviour] = {
    "ok": ok,
    "judge": models.surely,
    "embeds": embeds,
    "moderates": moderates,
    "gzipped": gzipped,
    "brotlied": brotlied,
    "unauthorized": error(401, "bad key"),
    "limited": error(429, "slow down", retry_after="7"),
    "broken": error(500, "boom"),
    "refusing": error(400, "no such parameter"),
    "html": answers(200, b"<html>It works!</html>", content_type="text/html"),
    "error200": answers(200, b'{"error": {"message": "quota is used up", "type": "quota"}}'),
    "json_for_stream": answers(200, json.dumps(create_response()).encode()),
    "nothing": answers(200, b""),
    "deep": answers(200, b'{"id": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "hangs": hangs,
    "breaks_off": breaks_off,
    "cut_stream": cut_stream,
    "ends_early": ends_early,
    "without_done": without_done,
    "goes_on": goes_on,
    "slow": slow,
}
