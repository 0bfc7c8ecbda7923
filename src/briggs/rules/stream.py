"""S: the chunks of a stream agree, each choice begins and ends once, and the stream ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from briggs.rules.answer import CheckedChoice
from briggs.rules.book import Broken, rule
from briggs.rules.events import CheckedStream
from briggs.rules.message import parses_as_object
from briggs.rules.usage import COUNTS
from briggs.types import json
from briggs.types.any_json import Members, integer, members, objects
from briggs.types.response import CreateChatCompletionResponse


@rule(
    "U6", "error", "If a stream reports usage several times, the counts never go down.",
    on="stream",
    basis="Servers that send usage with every chunk send the count so far. A reader that adds "
    "them up counts 34 tokens instead of 8.",
    fix="The last one is passed on, once. Counts that it lacks come from those before it.",
)  # fmt: skip
def usages_go_up(stream: CheckedStream) -> Iterator[Broken]:
    for (_, before, _), (path, after, _) in itertools.pairwise(stream.usages):
        for name in COUNTS:
            earlier, later = integer(before.get(name)), integer(after.get(name))
            if earlier is not None and later is not None and later < earlier:
                yield Broken(f"{path}.{name}", f"It was {earlier} before.", later)


@rule(
    "S1", "error", "The content type is `text/event-stream`.",
    on="stream",
    basis="https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream",
    fix="A stream of another content type is refused.",
)  # fmt: skip
def is_an_event_stream(stream: CheckedStream) -> Iterator[Broken]:
    given = stream.content_type
    if given is not None and given.split(";")[0].strip().lower() != "text/event-stream":
        yield Broken("", f"The content type is '{given}'.")


@rule(
    "S2", "warning", "There are only `data:` lines, each followed by an empty line.",
    on="stream",
    basis="12 of 12 recorded streams, all with LF. Events without data (only `event`, `id` or "
    "`retry`) crash the official SDKs. Comments keep a connection alive. CR LF and a byte "
    "order mark are legal, and only worth knowing.",
    fix="Only `data:` lines with LF are passed on.",
)  # fmt: skip
def has_data_lines(stream: CheckedStream) -> Iterator[Broken]:
    if stream.received.startswith(b"\xef\xbb\xbf"):
        yield Broken("lines[0]", "It begins with a byte order mark.", severity="info")
    if b"\r" in stream.received:
        yield Broken("lines[0]", "Its lines end with CR.", severity="info")
    seen: set[tuple[bytes, bool]] = set()
    for place, name, has_data in _list_fields(stream.lines):
        if (name, has_data) not in seen:
            seen.add((name, has_data))
            text = stream.lines[place].decode("utf-8", "replace")
            message = "It is not a line of data." if has_data else "It is an event without data."
            yield Broken(f"lines[{place}]", message, text)


def _list_fields(lines: list[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """The lines that are neither data nor comments, and whether their event has data."""
    begin = 0
    for is_blank, event in itertools.groupby(lines, key=lambda line: not line):
        names = [line.removeprefix(b"\xef\xbb\xbf").partition(b":")[0] for line in event]
        if not is_blank:
            for place, name in enumerate(names, begin):
                if name not in (b"data", b""):
                    yield place, name, b"data" in names
        begin += len(names)


@rule(
    "S3", "error", "A stream ends with one `data: [DONE]` and an empty line.",
    on="stream",
    basis='CreateChatCompletionRequest, stream: "with the stream terminated by a `data: [DONE]` '
    'message". Without the empty line, readers drop it.',
    fix="Briggs writes its own, and nothing follows it.",
)  # fmt: skip
def ends_once(stream: CheckedStream) -> Iterator[Broken]:
    last = len(stream.events) - 1
    if stream.ends and stream.ends[0] < last:
        yield Broken(f"chunks[{stream.ends[0] + 1}]", "It comes after [DONE].")
    elif not stream.ends and stream.is_whole:
        if stream.unterminated.strip() == b"[DONE]":
            yield Broken("", "No empty line follows [DONE].")
        else:
            lost = ", and no empty line after the last event" if stream.unterminated else ""
            yield Broken("", f"There is no [DONE]{lost}.")


@rule(
    "S4", "error", "id, created, model, object and system_fingerprint are the same in every chunk.",
    on="stream",
    basis='CreateChatCompletionStreamResponse: "Each chunk has the same ID", "Each chunk has the '
    'same timestamp".',
    fix="The first chunk's values are put into all others.",
)  # fmt: skip
def chunks_agree(stream: CheckedStream) -> Iterator[Broken]:
    for name in ("id", "created", "model", "object", "system_fingerprint"):
        required = name != "system_fingerprint"
        first: Any = ...
        for chunk in stream.chunks:
            value = chunk.answer.value
            if "choices" not in value or (required and name not in value):
                continue
            if first is ...:
                first = value.get(name)
            elif value.get(name) != first:
                yield Broken(f"{chunk.path}.{name}", "It was different before.", value.get(name))
                break


@rule(
    "S5", "error", "The role is in the first delta of a choice and nowhere else.",
    on="stream",
    basis="14 of 14 recorded choices.",
    fix="`assistant` is put there and removed elsewhere.",
)  # fmt: skip
def role_comes_first(stream: CheckedStream) -> Iterator[Broken]:
    for turn in stream.turns.values():
        deltas = [(path, choice) for path, choice in turn if "delta" in choice.value]
        for place, (path, choice) in enumerate(deltas):
            role = choice.message.get("role", ...)
            if place == 0 and role != "assistant":
                yield Broken(
                    f"{path}.delta.role", "The first delta lacks the role 'assistant'.", role
                )
            elif place > 0 and role is not ...:
                yield Broken(f"{path}.delta.role", "The role came before.", role)
                break


@rule(
    "S6", "error", "A choice ends once, in its last chunk.",
    on="stream",
    basis='CreateChatCompletionStreamResponse: finish_reason is null until "the model stopped '
    'generating tokens". In 14 of 14 recorded choices its chunk has an empty delta and no '
    "logprobs.",
    fix="A second reason is left out. A stream that ends without one is refused.",
)  # fmt: skip
def choices_end_once(stream: CheckedStream) -> Iterator[Broken]:
    if not stream.is_whole:
        return
    for index, turn in stream.turns.items():
        turn = [(path, choice) for path, choice in turn if not _is_audio_expiry(choice)]
        ends = [place for place, (_, choice) in enumerate(turn) if _finish(choice)]
        path = turn[-1][0] if turn else "chunks"
        if not ends:
            yield Broken(path, f"Choice {index} has no finish_reason.")
            continue
        if len(ends) > 1 or ends[0] < len(turn) - 1:
            then = "ends again" if len(ends) > 1 else "continues after its finish_reason"
            yield Broken(path, f"Choice {index} {then}.")
        _, last = turn[ends[-1]]
        if any(last.message.values()) or last.value.get("logprobs"):
            place = f"{turn[ends[-1]][0]}.delta"
            yield Broken(
                place, "The chunk that ends the choice is not empty.", last.message, "warning"
            )


def _finish(choice: CheckedChoice) -> Any:
    return choice.value.get("finish_reason")


def _is_audio_expiry(choice: CheckedChoice) -> bool:
    return set(choice.message) == {"audio"} and not _finish(choice)


@rule(
    "S7", "error", "Nothing comes for a choice after its end, except when its audio expires.",
    on="stream",
    basis="Observed in every recorded stream. Readers stop at the finish_reason.",
    fix="Empty chunks are left out. Text after the end is refused.",
)  # fmt: skip
def nothing_follows_the_end(stream: CheckedStream) -> Iterator[Broken]:
    for turn in stream.turns.values():
        ended = False
        for path, choice in turn:
            says = any(value for name, value in choice.message.items() if name != "role")
            if ended and says and not _is_audio_expiry(choice):
                yield Broken(f"{path}.delta", "The choice has already ended.", choice.message)
            ended = ended or bool(_finish(choice))


@rule(
    "S8", "error", "Requested usage comes once, in the last chunk, without choices.",
    on="stream",
    basis='stream_options.include_usage: "an additional chunk will be streamed before the '
    "`data: [DONE]` message [...] the `choices` field will always be an empty array. All other "
    'chunks will also include a `usage` field, but with a null value."',
    fix="It is sent in a last chunk of its own.",
)  # fmt: skip
def usage_comes_last(stream: CheckedStream) -> Iterator[Broken]:
    if not stream.is_whole or not (stream.request and stream.request.includes_usage):
        return
    if not stream.usages:
        yield Broken("chunks", "The request asked for usage, but none came.")
    for path, _, _ in stream.usages[:-1]:
        yield Broken(path, "Another usage follows.")
    for path, usage, chunk in stream.usages[-1:]:
        if chunk.answer.value.get("choices") != [] or chunk is not stream.chunks[-1]:
            yield Broken(path, "It is not in a last chunk without choices.", usage)


@rule(
    "S9", "warning", "No usage comes unless the request asked for it.",
    on="stream",
    basis="stream_options.include_usage asks for it.",
    fix="It is recorded and not passed on.",
)  # fmt: skip
def usage_comes_if_asked(stream: CheckedStream) -> Iterator[Broken]:
    if stream.request and not stream.request.includes_usage:
        for path, usage, _ in stream.usages[:1]:
            yield Broken(path, "The request did not ask for it.", usage)


@rule(
    "S10", "error", "A tool call begins once, with index, id, type and name. Only arguments "
    "follow.",
    on="stream",
    basis="ChatCompletionMessageToolCallChunk requires the index. 5 of 5 recorded calls begin "
    'with arguments "". 51 of 51 later deltas have only arguments, and 56 of 56 deltas are about '
    "one call.",
    fix="Calls are renumbered by their ids, and repeated members are left out.",
)  # fmt: skip
def calls_begin_once(stream: CheckedStream) -> Iterator[Broken]:
    for turn in stream.turns.values():
        begun = 0
        for path, choice in turn:
            if len(choice.calls) > 1:
                message = "It has pieces of several calls."
                yield Broken(f"{path}.delta.tool_calls", message, severity="warning")
            for call_path, call in objects(
                choice.message.get("tool_calls"), f"{path}.delta.tool_calls"
            ):
                index = integer(call.get("index"))
                if index is None or not 0 <= index <= begun:
                    message = f"Its index should be a number up to {begun}."
                    yield Broken(f"{call_path}.index", message, call.get("index"))
                elif index == begun:
                    yield from _check_beginning(call_path, call)
                    begun += 1
                else:
                    yield from _check_continuation(call_path, call)


def _check_beginning(path: str, call: Members) -> Iterator[Broken]:
    for name in ("id", "type"):
        if not isinstance(call.get(name), str) or not call[name]:
            yield Broken(f"{path}.{name}", "A call begins with it.", call.get(name))
    if call.get("type") == "custom":
        return
    function = members(call.get("function"))
    if not isinstance(function.get("name"), str) or not function["name"]:
        yield Broken(f"{path}.function.name", "A call begins with it.", function.get("name"))
    arguments = function.get("arguments")
    if arguments is None:
        yield Broken(f"{path}.function.arguments", 'A call begins with "".', arguments)
    elif arguments != "":
        message = 'A call begins with "", and its arguments follow.'
        yield Broken(f"{path}.function.arguments", message, arguments, "info")


def _check_continuation(path: str, call: Members) -> Iterator[Broken]:
    for name in ("id", "type"):
        if name in call:
            yield Broken(f"{path}.{name}", "The call has already begun.", call[name])
    function = members(call.get("function"))
    if "name" in function:
        yield Broken(f"{path}.function.name", "The call has already begun.", function["name"])


@rule(
    "S11", "warning", "The pieces of a call's arguments form a JSON object.",
    on="stream",
    basis="5 of 5 recorded calls. A model may still fail to do so.",
)  # fmt: skip
def arguments_parse(stream: CheckedStream) -> Iterator[Broken]:
    if not stream.is_whole:
        return
    for path, choice in objects(stream.folded["choices"], "fold.choices"):
        if choice.get("finish_reason") == "length":
            continue
        calls = members(choice.get("message")).get("tool_calls")
        for call_path, call in objects(calls, f"{path}.message.tool_calls"):
            arguments = members(call.get("function")).get("arguments")
            if isinstance(arguments, str) and not parses_as_object(arguments):
                message = "They do not form a JSON object."
                yield Broken(f"{call_path}.function.arguments", message, arguments)


@rule(
    "S12", "info", "Each chunk is about one choice.",
    on="stream",
    basis='CreateChatCompletionStreamResponse: choices "can contain more than one elements if `n` '
    'is greater than 1"; recorded streams interleave them.',
)  # fmt: skip
def chunks_have_one_choice(stream: CheckedStream) -> Iterator[Broken]:
    for chunk in stream.chunks:
        if len(chunk.answer.choices) > 1:
            yield Broken(f"{chunk.path}.choices", "It is about several choices.")


@rule(
    "S13", "error", "Every choice of a chunk has a delta.",
    on="stream",
    basis="CreateChatCompletionStreamResponse: choices require it.",
    fix="A delta is made from the choice's message or text, or is empty if there is none.",
)  # fmt: skip
def choices_have_deltas(stream: CheckedStream) -> Iterator[Broken]:
    for turn in stream.turns.values():
        for path, choice in turn:
            if not isinstance(choice.value.get("delta"), dict):
                yield Broken(f"{path}.delta", "It is missing.", choice.value.get("delta", ...))


@rule(
    "S14", "error", "The stream does not report a failure.",
    on="stream",
    basis="The status was 200 before the upstream failed. The answer is not whole, whatever "
    "follows.",
    fix="The call fails: its caller gets an error, and the record keeps what had come.",
)  # fmt: skip
def does_not_fail(stream: CheckedStream) -> Iterator[Broken]:
    for path, error in stream.errors:
        yield Broken(path, "It reports an error.", error)


@rule(
    "S15", "info", "`obfuscation` is a string, and absent if the request declines it.",
    on="stream",
    basis='stream_options.include_obfuscation: "When true, stream obfuscation will be enabled."',
)  # fmt: skip
def pads_if_allowed(stream: CheckedStream) -> Iterator[Broken]:
    options = stream.request.stream_options if stream.request else {}
    declined = options.get("include_obfuscation") is False
    for chunk in stream.chunks:
        padding = chunk.answer.value.get("obfuscation", "")
        if not isinstance(padding, str) or (padding and declined):
            yield Broken(f"{chunk.path}.obfuscation", "It should not be there.", padding)


@rule(
    "S16", "info", "A chunk with `moderation` has no choices and no usage.",
    on="stream",
    basis='CreateChatCompletionStreamResponse: "Present on the moderation chunk."',
)  # fmt: skip
def moderates_apart(stream: CheckedStream) -> Iterator[Broken]:
    for chunk in stream.chunks:
        value = chunk.answer.value
        if value.get("moderation") and (value.get("choices") or value.get("usage")):
            yield Broken(f"{chunk.path}.moderation", "The chunk also has choices or usage.")


@rule(
    "S17", "error", "Together, the chunks form a valid response.",
    on="stream",
    basis="CreateChatCompletionStreamResponse: a streamed chunk of a chat completion response. "
    "If the response breaks another rule, that rule is reported, with a path within `fold`.",
)  # fmt: skip
def spells_a_response(stream: CheckedStream) -> Iterator[Broken]:
    if not stream.is_whole:
        return
    # S6 reports a choice that does not end, and C3 an unknown reason.
    choices = [{**choice, "finish_reason": "stop"} for choice in stream.folded["choices"]]
    folded = {**stream.folded, "choices": choices}
    try:
        json.from_builtins(folded, CreateChatCompletionResponse)
    except msgspec.ValidationError as error:
        yield Broken("fold", f"They do not form a response: {error}.")
