"""T: what the older completions API answers, whole or as chunks, is a text completion.

https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from collections.abc import Iterator

from briggs.rules.answer import CheckedBody
from briggs.rules.book import Broken, Severity, rule
from briggs.rules.typed_events import read_events
from briggs.types.any_json import Members, integer, members, number, objects, text

_REASONS = ("stop", "length", "content_filter")
_LISTS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


class CheckedText:
    """A text completion or a chunk of one, with its request if that is known."""

    def __init__(self, value: Members, request: Members | None, *, is_chunk: bool = False) -> None:
        self.value = value
        self.request = request or {}
        self.is_chunk = is_chunk

    @property
    def choices(self) -> list[tuple[str, Members]]:
        """The choices, with their paths."""
        return list(objects(self.value.get("choices"), "choices"))

    @property
    def wanted(self) -> int | None:
        """How many choices were asked for. None if the request is not known."""
        prompt = self.request.get("prompt", ...)
        if prompt is ...:
            return None
        is_batch = isinstance(prompt, list) and not all(map(_is_token, prompt))
        return (integer(self.request.get("n")) or 1) * (len(prompt) if is_batch else 1)


def _is_token(value: object) -> bool:
    return integer(value) is not None


class CheckedTextStream:
    """The bytes that were received for a streamed text completion."""

    def __init__(
        self, received: bytes, request: Members | None, *, content_type: str | None, whole: bool
    ) -> None:
        self.content_type = content_type
        self.request = request or {}
        events, self.has_done = read_events(received)
        self.chunks = [(each.path, each.body) for each in events]
        self.is_whole = whole and not any("error" in body.members for _, body in self.chunks)

    def open_chunk(self, body: CheckedBody) -> CheckedText:
        """A chunk as an answer."""
        return CheckedText(body.members, self.request, is_chunk=True)


@rule(
    "T1", "error", "The answer is an object with `object: \"text_completion\"`, an id and a model.",
    on="text completion",
    basis='CreateCompletionResponse requires id, object, created, model and choices; `object` "is '
    'always `text_completion`". Chunks have the same shape.',
)  # fmt: skip
def is_a_text_completion(answer: CheckedText) -> Iterator[Broken]:
    if answer.value.get("object") != "text_completion":
        yield Broken("object", "It is not 'text_completion'.", answer.value.get("object", ...))
    for name in ("id", "model"):
        if text(answer.value.get(name)) is None:
            yield Broken(name, "It is not a non-empty string.", answer.value.get(name, ...))
    if integer(answer.value.get("created")) is None:
        yield Broken("created", "It is not a whole number.", answer.value.get("created", ...))


@rule(
    "T2", "error", "There are as many choices as were asked for, each with an index and a text.",
    on="text completion",
    basis="CreateCompletionRequest, n: how many completions to generate for each prompt. A choice "
    "requires finish_reason, index, logprobs and text.",
)  # fmt: skip
def has_its_choices(answer: CheckedText) -> Iterator[Broken]:
    choices = answer.value.get("choices", ...)
    if not isinstance(choices, list):
        yield Broken("choices", "It is not a list.", choices)
        return
    seen: set[int] = set()
    for path, choice in answer.choices:
        index = integer(choice.get("index"))
        if index is None or index < 0:
            given = choice.get("index", ...)
            yield Broken(f"{path}.index", "It is not a whole number from 0.", given)
        elif index in seen:
            yield Broken(f"{path}.index", "Another choice has the same index.", index)
        else:
            seen.add(index)
        if not isinstance(choice.get("text"), str):
            yield Broken(f"{path}.text", "It is not a string.", choice.get("text", ...))
        if "logprobs" not in choice:
            yield Broken(f"{path}.logprobs", "It is missing.", severity="warning")
    if not answer.is_chunk and answer.wanted not in (None, len(choices)):
        yield Broken("choices", f"{answer.wanted} were asked for, and {len(choices)} came.")


@rule(
    "T3", "error", "A finished choice has a known finish_reason; a chunk before the end has null.",
    on="text completion",
    basis="CreateCompletionResponse, finish_reason: stop, length or content_filter.",
)  # fmt: skip
def has_a_finish_reason(answer: CheckedText) -> Iterator[Broken]:
    for path, choice in answer.choices:
        reason = choice.get("finish_reason", ...)
        if reason in _REASONS or (answer.is_chunk and reason is None):
            continue
        severity: Severity | None = "warning" if answer.is_chunk and reason is ... else None
        yield Broken(f"{path}.finish_reason", "It is not a known reason.", reason, severity)


@rule(
    "T4", "error", "Log probabilities are four lists of one length, with numbers up to 0.",
    on="text completion",
    basis="CreateCompletionResponse, logprobs: tokens, token_logprobs, top_logprobs and "
    "text_offset. The first token of an echoed prompt has no logprob.",
)  # fmt: skip
def has_logprobs(answer: CheckedText) -> Iterator[Broken]:
    asked = integer(answer.request.get("logprobs"))
    for path, choice in answer.choices:
        given = choice.get("logprobs")
        if not isinstance(given, dict):
            if given is not None:
                yield Broken(f"{path}.logprobs", "It is neither an object nor null.", given)
            elif asked is not None and choice.get("text"):
                yield Broken(f"{path}.logprobs", "They were asked for, but none came.")
            continue
        lengths = set()
        for name in _LISTS:
            values = given.get(name)
            if isinstance(values, list):
                lengths.add(len(values))
            elif values is not None or name in ("tokens", "token_logprobs"):
                message = "It is not a list."
                yield Broken(f"{path}.logprobs.{name}", message, given.get(name, ...))
        if len(lengths) > 1:
            yield Broken(f"{path}.logprobs", f"Its lists have the lengths {sorted(lengths)}.")
        logprobs = given.get("token_logprobs")
        for place, value in enumerate(logprobs if isinstance(logprobs, list) else ()):
            logprob = number(value)
            if (logprob is None and value is not None) or (logprob or 0) > 0:
                path_of = f"{path}.logprobs.token_logprobs[{place}]"
                yield Broken(path_of, "It is not a number up to 0.", value)


@rule(
    "T5", "error", "The usage has three whole numbers that add up.",
    on="text completion",
    basis="CompletionUsage requires prompt_tokens, completion_tokens and total_tokens.",
)  # fmt: skip
def counts_tokens(answer: CheckedText) -> Iterator[Broken]:
    usage = answer.value.get("usage")
    if usage is None:
        if not answer.is_chunk:
            yield Broken("usage", "It is missing, so no cost can be known.", severity="warning")
        return
    counts = []
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        count = integer(members(usage).get(name))
        counts.append(count)
        if count is None or count < 0:
            given = members(usage).get(name, ...)
            yield Broken(f"usage.{name}", "It is not a whole number from 0.", given)
    asked, answered, total = counts
    if asked is not None and answered is not None and total not in (None, asked + answered):
        yield Broken("usage.total_tokens", f"The sum is {asked + answered}.", total)


@rule(
    "T20", "error", "A stream is chunks of one text completion, and ends with [DONE].",
    on="text stream",
    basis="CreateCompletionRequest, stream: server-sent events, and the stream is terminated by "
    "`data: [DONE]`. All chunks have one id.",
)  # fmt: skip
def sends_chunks(stream: CheckedTextStream) -> Iterator[Broken]:
    kind = stream.content_type
    if kind is not None and not kind.lower().startswith("text/event-stream"):
        yield Broken("", "The content type is not text/event-stream.", kind)
    if not stream.chunks:
        yield Broken("", "There is no chunk.")
    for path, body in stream.chunks:
        if body.fault is not None or not body.members:
            yield Broken(path, "It is not a JSON object.")
    if stream.is_whole and not stream.has_done:
        yield Broken("", "There is no [DONE] at the end.")
    ids = {text(body.members.get("id")) for _, body in stream.chunks} - {None}
    if len(ids) > 1:
        yield Broken("", "The chunks have several ids.", sorted(map(str, ids))[0])


@rule(
    "T21", "error", "Each choice of a stream ends once, with a finish_reason.",
    on="text stream",
    basis="CreateCompletionResponse, finish_reason: the last chunk of a choice has it.",
)  # fmt: skip
def ends_choices(stream: CheckedTextStream) -> Iterator[Broken]:
    ended: set[int] = set()
    begun: set[int] = set()
    for path, body in stream.chunks:
        for place, choice in objects(body.members.get("choices"), f"{path}.choices"):
            index = integer(choice.get("index"))
            if index is None:
                continue
            if index in ended and (choice.get("text") or choice.get("finish_reason")):
                yield Broken(place, "The choice has ended before.", index)
            begun.add(index)
            if choice.get("finish_reason") is not None:
                ended.add(index)
    for index in sorted(begun - ended) if stream.is_whole else ():
        yield Broken("", f"The choice {index} has no finish_reason.")
