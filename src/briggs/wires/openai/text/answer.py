"""Writes chat completions as text completions, whole and streamed."""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from briggs.types import json
from briggs.types.any_json import list_objects, members, text

_REASONS = ("stop", "length", "content_filter")
"""The specification's reasons for the end of a text. All others mean that it was whole."""
_CHAT_ID, _ID = "chatcmpl-", "cmpl-"


class TextFrames:
    """Server-sent events: a text each, and `[DONE]`."""

    def __init__(self) -> None:
        self._spellers: defaultdict[int, _Speller] = defaultdict(_Speller)

    def write(self, chunks: Sequence[bytes]) -> bytes:
        written = [self._write(json.decode(chunk)) for chunk in chunks]
        return b"".join([b"data: %b\n\n" % json.encode_plain(each) for each in written if each])

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"

    def _write(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """A chunk as a text completion. None if it says nothing, like one with the role only."""
        choices = [
            written
            for choice in chunk["choices"]
            if (written := _write_choice(choice, choice["delta"], self._spellers[choice["index"]]))
            and (written["text"] or written["logprobs"] or written["finish_reason"])
        ]
        if not choices and chunk["choices"]:
            return None
        return {**_identify(chunk), "choices": choices}


def write_text(body: bytes) -> bytes:
    """Write a whole `CreateChatCompletionResponse` as a text completion."""
    answer = json.decode(body)
    choices = [_write_choice(each, each["message"], _Speller()) for each in answer["choices"]]
    return json.encode_plain({**_identify(answer), "choices": choices})


def _identify(answer: dict[str, Any]) -> dict[str, Any]:
    id = answer["id"]
    if id.startswith(_CHAT_ID):
        id = _ID + id.removeprefix(_CHAT_ID)
    return {**answer, "id": id, "object": "text_completion"}


def _write_choice(
    choice: dict[str, Any], message: dict[str, Any], speller: _Speller
) -> dict[str, Any]:
    reason = choice.get("finish_reason")
    tokens = list_objects(members(choice.get("logprobs")).get("content"))
    return {
        "text": text(message.get("content")) or text(message.get("refusal")) or "",
        "index": choice["index"],
        "logprobs": speller.write(tokens) if tokens else None,
        "finish_reason": reason if reason in _REASONS or reason is None else "stop",
    }


class _Speller:
    """Writes the tokens of one choice, each with its place in the text."""

    def __init__(self) -> None:
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, tokens: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The older form of some logprobs."""
        return {
            "tokens": [_spell(token) for token in tokens],
            "token_logprobs": [token["logprob"] for token in tokens],
            "top_logprobs": [_list_top(token) for token in tokens],
            "text_offset": [self._place(token) for token in tokens],
        }

    def _place(self, token: dict[str, Any]) -> int:
        """Where a token begins, in characters. A token may be a part of one."""
        begins = self._offset
        spelled = bytes(token.get("bytes") or ()) or token["token"].encode("utf-8", "replace")
        self._offset += len(self._decoder.decode(spelled))
        return begins


def _list_top(token: dict[str, Any]) -> dict[str, float]:
    """The likeliest tokens, and the one that was chosen."""
    likeliest = list_objects(token.get("top_logprobs"))
    return {_spell(each): each["logprob"] for each in [*likeliest, token]}


def _spell(token: dict[str, Any]) -> str:
    """A token as OpenAI writes it here: `bytes:\\xf0\\x9f` if it is a part of a character."""
    spelled = bytes(token.get("bytes") or ())
    try:
        spelled.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelled)
    return str(token["token"])
