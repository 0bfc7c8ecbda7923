"""J and E: the body is JSON, and an answer says what it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from briggs.rules.answer import CheckedAnswer, CheckedBody, join
from briggs.rules.book import Broken, also, rule
from briggs.rules.events import CheckedStream
from briggs.rules.specification import is_plausible
from briggs.types.any_json import Members, integer, members, objects
from briggs.types.chunk import (
    ChatCompletionAudioDelta,
    ChatCompletionStreamResponseDelta,
    CreateChatCompletionStreamResponse,
    StreamChoice,
)
from briggs.types.response import (
    ChatCompletionAudio,
    ChatCompletionResponseMessage,
    Choice,
    CreateChatCompletionResponse,
    ServiceTier,
    UrlCitation,
)
from briggs.types.usage import CompletionUsage


@rule(
    "J1", "error", "The body, or the data of an event, is valid JSON.",
    on="body",
    basis='RFC 8259: "Numeric values that cannot be represented in the grammar (such as Infinity '
    'and NaN) are not permitted." `JSON.parse` refuses them.',
    fix="A byte order mark is removed. NaN and Infinity in a usage become null; for log "
    "probabilities, see L3.",
)  # fmt: skip
def is_json(body: CheckedBody) -> Iterator[Broken]:
    if body.fault is not None:
        yield Broken("", f"It is not valid JSON: {body.fault}.")


@rule(
    "J2", "warning", "No object has two members with the same name.",
    on="body",
    basis='RFC 8259, section 4: "The names within an object SHOULD be unique."',
)  # fmt: skip
def names_are_unique(body: CheckedBody) -> Iterator[Broken]:
    twice: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in pairs)
        if len(counts) < len(pairs):
            twice.extend(name for name, count in counts.items() if count > 1)

    if body.fault is None:
        try:
            json.loads(body.data, object_pairs_hook=collect)
        except (ValueError, RecursionError):
            return
    for name in sorted(set(twice)):
        yield Broken("", f"An object has two members named '{name}'. Readers keep the last.", name)


@rule(
    "E1", "error", "`object` is `chat.completion`, or `chat.completion.chunk` in a stream.",
    on="response",
    basis='CreateChatCompletionResponse: "The object type, which is always `chat.completion`."',
    fix="Set to the right value.",
)  # fmt: skip
def names_its_object(answer: CheckedAnswer) -> Iterator[Broken]:
    if answer.value.get("object", "chat.completion") != "chat.completion":
        yield Broken("object", "It is not 'chat.completion'.", answer.value["object"])


@also("E1", on="stream")
def chunks_name_their_object(stream: CheckedStream) -> Iterator[Broken]:
    """Looks at the first that is not empty. S4 checks that the others agree."""
    objects = [(chunk.path, chunk.answer.value.get("object")) for chunk in stream.chunks]
    for path, kind in [(path, kind) for path, kind in objects if kind][:1]:
        if kind != "chat.completion.chunk":
            yield Broken(f"{path}.object", "It is not 'chat.completion.chunk'.", kind)


@rule(
    "E2", "error", "`id` is a non-empty string.",
    on="response",
    basis='CreateChatCompletionResponse: "A unique identifier for the chat completion."',
    fix="If it is missing, it becomes `chatcmpl-` and the id of the record.",
)  # fmt: skip
def has_an_id(answer: CheckedAnswer) -> Iterator[Broken]:
    yield from _require_text(answer.value, "id")


@rule(
    "E3", "error", "`created` is a plausible time in whole seconds.",
    on="response",
    basis='CreateChatCompletionResponse: "The Unix timestamp (in seconds) of when the chat '
    'completion was created." Plausible means from 2023 to tomorrow.',
    fix="Floats, milliseconds and ISO 8601 become seconds. 0 becomes now.",
)  # fmt: skip
def has_a_plausible_time(answer: CheckedAnswer) -> Iterator[Broken]:
    if "created" not in answer.value:
        return
    created = answer.value["created"]
    seconds = integer(created)
    if seconds is None:
        yield Broken("created", "It is not a whole number of seconds.", created)
    elif not is_plausible(seconds):
        yield Broken("created", "It is not a plausible Unix time in seconds.", created)


# Each character can match in only one way, so no name takes long.
_DATED = re.compile(r"([-@:.]+(v?\d+|latest|preview|exp))*")


@rule(
    "E4", "error", "`model` is a non-empty string: the requested model or a version of it.",
    on="response",
    basis='CreateChatCompletionResponse: "The model used for the chat completion." An alias is '
    "answered with the dated snapshot.",
    fix="If it is missing, it becomes the requested model.",
)  # fmt: skip
def names_its_model(answer: CheckedAnswer) -> Iterator[Broken]:
    yield from _require_text(answer.value, "model")
    asked = answer.request and answer.request.value.get("model")
    model = answer.value.get("model")
    if not (isinstance(asked, str) and isinstance(model, str) and asked and model):
        return
    if not is_version_of(model, asked):
        yield Broken("model", f"The request asked for '{asked}'.", model, "warning")


def is_version_of(model: str, asked: str) -> bool:
    """Whether a model that answers is the requested one, or a dated version of it."""
    is_short = len(model) <= _NAME_LENGTH_MAX and len(asked) <= _NAME_LENGTH_MAX
    return is_short and _is_version_of(model, asked)


_NAME_LENGTH_MAX = 500
"""Results are kept by name, so long names would take memory for good."""


@lru_cache(maxsize=1024)
def _is_version_of(model: str, asked: str) -> bool:
    name = asked.rpartition("/")[2].lower().removesuffix("-latest")
    answered = model.rpartition("/")[2].lower()
    return answered.startswith(name) and bool(_DATED.fullmatch(answered[len(name) :]))


REQUIRED = ("id", "object", "created", "model", "choices")
CHOICE_REQUIRED = ("finish_reason", "index", "message", "logprobs")


@rule(
    "E5", "error", "Everything that the specification requires is there.",
    on="response",
    basis="CreateChatCompletionResponse requires id, choices, created, model and object; a choice "
    "finish_reason, index, message and logprobs; a message role, content and refusal; a "
    "token token, logprob, bytes and top_logprobs.",
    fix="A missing member becomes null if it may be null. For the id, the time and the model, see "
    "E2, E3 and E4.",
)  # fmt: skip
def has_what_is_required(answer: CheckedAnswer) -> Iterator[Broken]:
    yield from _require(answer.value, "", REQUIRED)
    yield from _require_objects(answer.value.get("choices"), "choices")
    for choice in answer.choices:
        yield from _require(choice.value, choice.path, CHOICE_REQUIRED)
        if "message" not in choice.value:
            continue
        if not isinstance(choice.value["message"], dict):
            yield Broken(choice.message_path, "It is not an object.", choice.value["message"])
            continue
        yield from _require(choice.message, choice.message_path, ("role", "content", "refusal"))
        yield from _require_parts(choice.message, choice.message_path)
    yield from _require_tokens(answer)


@also("E5", on="chunk")
def chunk_has_what_is_required(answer: CheckedAnswer) -> Iterator[Broken]:
    yield from _require(answer.value, "", REQUIRED)
    yield from _require_objects(answer.value.get("choices"), "choices")
    for choice in answer.choices:
        yield from _require(choice.value, choice.path, ("index",))
    yield from _require_tokens(answer)


def _require_tokens(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, token, others in answer.tokens:
        yield from _require(token, path, ("token", "logprob", "bytes", "top_logprobs"))
        if token.get("top_logprobs", []) is None:
            yield Broken(f"{path}.top_logprobs", "It must not be null.")
        for other_path, other in others:
            yield from _require(other, other_path, ("token", "logprob", "bytes"))


def _require_objects(value: Any, path: str) -> Iterator[Broken]:
    for place, item in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(item, dict):
            yield Broken(f"{path}[{place}]", "It is not an object.", item)


def _require_parts(message: Members, path: str) -> Iterator[Broken]:
    for name, required in (
        ("function_call", ("name", "arguments")),
        ("audio", ("id", "expires_at", "data", "transcript")),
    ):
        if isinstance(message.get(name), dict):
            yield from _require(message[name], f"{path}.{name}", required)
    for call_path, call in objects(message.get("tool_calls"), f"{path}.tool_calls"):
        if isinstance(call.get("function"), dict):
            yield from _require(call["function"], f"{call_path}.function", ("name",))
    for note_path, note in objects(message.get("annotations"), f"{path}.annotations"):
        if isinstance(note.get("url_citation"), dict):
            names = UrlCitation.__struct_fields__
            yield from _require(note["url_citation"], f"{note_path}.url_citation", names)


def _require(value: Members, path: str, names: tuple[str, ...]) -> Iterator[Broken]:
    for name in names:
        if name not in value:
            yield Broken(join(path, name), "It is missing.")


def _require_text(value: Members, name: str) -> Iterator[Broken]:
    if name in value and (not isinstance(value[name], str) or not value[name]):
        yield Broken(name, "It is not a non-empty string.", value[name])


@rule(
    "E6", "warning", "`service_tier` is one of the specification's, and is there if requested.",
    on="response",
    basis='CreateChatCompletionResponse: "When the `service_tier` parameter is set, the response '
    'body will include the `service_tier` value based on the processing mode actually used."',
    fix="A vendor's own tier is passed on as `native_service_tier`.",
)  # fmt: skip
def names_its_service_tier(answer: CheckedAnswer) -> Iterator[Broken]:
    tier = answer.value.get("service_tier")
    if tier is not None and tier not in list(ServiceTier):
        yield Broken("service_tier", "The specification does not know this tier.", tier)
    if tier is None and answer.request and answer.request.value.get("service_tier"):
        yield Broken("service_tier", "The request sets one, but the answer does not name one.")


@rule(
    "E7", "warning", "`system_fingerprint` is a string, or absent.",
    on="response",
    basis="CreateChatCompletionResponse: a string that is not required and not nullable.",
    fix="A value that is neither a string nor null is left out.",
)  # fmt: skip
def has_a_fingerprint(answer: CheckedAnswer) -> Iterator[Broken]:
    value = answer.value
    if "system_fingerprint" in value and not isinstance(value["system_fingerprint"], str):
        yield Broken("system_fingerprint", "It is not a string.", value["system_fingerprint"])


@rule(
    "E8", "info", "Members that the specification does not know are listed.",
    on="response",
    basis="Nothing forbids additional members. Every compatible server sends some, and strict "
    "readers fail on them.",
)  # fmt: skip
def has_known_members(answer: CheckedAnswer) -> Iterator[Broken]:
    yield from _list_unknown(answer.value, "", CreateChatCompletionResponse)
    for choice in answer.choices:
        yield from _list_unknown(choice.value, choice.path, Choice)
        message = choice.message
        yield from _list_unknown(message, choice.message_path, ChatCompletionResponseMessage)
        audio = members(message.get("audio"))
        yield from _list_unknown(audio, f"{choice.message_path}.audio", ChatCompletionAudio)
        for path, call in choice.calls:
            yield from _list_names(call, path, ("id", "type", "function", "custom"))
    for path, token, _ in answer.tokens:
        yield from _list_names(token, path, ("token", "logprob", "bytes", "top_logprobs"))
    yield from _list_unknown(answer.usage, "usage", CompletionUsage)


@also("E8", on="chunk")
def chunk_has_known_members(answer: CheckedAnswer) -> Iterator[Broken]:
    yield from _list_unknown(answer.value, "", CreateChatCompletionStreamResponse)
    for choice in answer.choices:
        yield from _list_unknown(choice.value, choice.path, StreamChoice)
        delta = choice.message
        yield from _list_unknown(delta, choice.message_path, ChatCompletionStreamResponseDelta)
        audio = members(delta.get("audio"))
        yield from _list_unknown(audio, f"{choice.message_path}.audio", ChatCompletionAudioDelta)
    yield from _list_unknown(answer.usage, "usage", CompletionUsage)


def _list_unknown(value: Members, path: str, type: Any) -> Iterator[Broken]:
    yield from _list_names(value, path, type.__struct_fields__)


def _list_names(value: Members, path: str, known: tuple[str, ...]) -> Iterator[Broken]:
    for name in value:
        if name not in known:
            yield Broken(
                join(path, name), "The specification does not know this member.", value[name]
            )
