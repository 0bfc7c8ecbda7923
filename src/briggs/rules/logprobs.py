"""L: log probabilities come if requested, are probabilities, and their bytes spell the text."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from briggs.rules.answer import CheckedAnswer, CheckedChoice, utf8
from briggs.rules.book import Broken, Severity, also, rule
from briggs.rules.specification import LOGPROB_MAX
from briggs.types.any_json import Members, integer, members, number, objects

PROBABILITY_MAX = 1.001
TOLERANCE = 1e-6
"""The rounding error allowed between two log probabilities, or for one above 0."""
HIDDEN_TOKENS_MAX = 8
"""How many counted tokens may not appear: the end of a choice, and a few for structure."""


@rule(
    "L1", "error", "Log probabilities come if, and only if, the request asked for them.",
    on="response",
    basis='CreateChatCompletionRequest: "If true, returns the log probabilities of each output '
    'token returned in the `content` of `message`."',
    fix="Set to null if the request did not ask for them.",
)  # fmt: skip
def come_if_asked(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices if answer.request else ():
        asked = answer.request is not None and answer.request.wants_logprobs
        given = choice.value.get("logprobs")
        spoken = choice.message.get("content") or choice.message.get("refusal")
        if given is not None and not asked:
            yield Broken(f"{choice.path}.logprobs", "The request did not ask for them.", given)
        elif given is None and asked and spoken:
            yield Broken(f"{choice.path}.logprobs", "The request asked for them.", given)


@rule(
    "L2", "error", "Log probabilities have `content` and `refusal`, each a list or null.",
    on="response",
    basis="CreateChatCompletionResponse: choices.logprobs requires both.",
    fix="If one is missing, it is set to null.",
)  # fmt: skip
def have_both_lists(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        logprobs, path = choice.value.get("logprobs"), f"{choice.path}.logprobs"
        if logprobs is None:
            continue
        if not isinstance(logprobs, dict):
            yield Broken(path, "It is not an object.", logprobs)
            continue
        for name in ("content", "refusal"):
            tokens = logprobs.get(name, ...)
            if tokens is ...:
                yield Broken(f"{path}.{name}", "It is missing.")
            elif tokens is not None and not isinstance(tokens, list):
                yield Broken(f"{path}.{name}", "It is neither a list nor null.", tokens)


also("L2", on="chunk")(have_both_lists)


@rule(
    "L3", "error", "A log probability is a finite number, and not above 0.",
    on="response",
    basis='ChatCompletionTokenLogprob: "The log probability of this token, if it is within the top '
    '20 most likely tokens. Otherwise, the value `-9999.0` is used to signify that the token is '
    'very unlikely."',
    fix="-Infinity becomes -9999.0. A token or an alternative with NaN loses its log probability.",
)  # fmt: skip
def are_probabilities(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, entry in answer.entries:
        if "logprob" not in entry:
            continue
        logprob = number(entry["logprob"])
        if logprob is None:
            yield Broken(f"{path}.logprob", "It is not a finite number.", entry["logprob"])
        elif logprob > TOLERANCE:
            slight: Severity | None = "warning" if logprob <= LOGPROB_MAX else None
            yield Broken(f"{path}.logprob", "The probability would be above 1.", logprob, slight)


@rule(
    "L4", "error", "`bytes` are whole numbers from 0 to 255, or null.",
    on="response",
    basis='ChatCompletionTokenLogprob: "A list of integers representing the UTF-8 bytes '
    'representation of the token. [...] Can be `null` if there is no bytes representation for the '
    'token."',
    fix="Worked out from the text if possible, and otherwise null.",
)  # fmt: skip
def bytes_are_bytes(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, entry in answer.entries:
        if entry.get("bytes") is not None and _bytes(entry) is None:
            yield Broken(f"{path}.bytes", "They are not bytes.", entry["bytes"])


@rule(
    "L5", "warning", "`bytes` are the token in UTF-8.",
    on="response",
    basis="The same. A token with only part of a character cannot write it: it has `\\xNN`, U+FFFD "
    "or nothing in its place, which is legal.",
)  # fmt: skip
def bytes_spell_the_token(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, entry in answer.entries:
        given, token = entry.get("bytes"), entry.get("token")
        if isinstance(token, str) and isinstance(given, list) and not _spells(entry, token):
            yield Broken(f"{path}.bytes", f"They do not spell {token!r}.", given)


_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_TOKEN_ID = re.compile(r"token_id:\d+")


def _spells(entry: Members, token: str) -> bool:
    given, plain = _bytes(entry), utf8(token)
    if given is None:
        return False
    if given == plain or "\ufffd" in token or _TOKEN_ID.fullmatch(token):
        return True
    if _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), plain) == given:
        return True
    return not _is_utf8(given) and given.startswith(plain)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@rule(
    "L6", "error", "The bytes of the tokens spell the content.",
    on="response",
    basis='ChatCompletionTokenLogprob: "Useful in instances where characters are represented by '
    "multiple tokens and their byte representations must be combined to generate the correct text "
    'representation."',
    fix="Worked out from the text, if there is only one way.",
)  # fmt: skip
def spell_the_content(answer: CheckedAnswer) -> Iterator[Broken]:
    if answer.request and answer.request.stops:
        return
    for choice in answer.choices:
        if not any(choice.message.get(name) for name in _UNSPOKEN):
            yield from _compare_text(choice, "content")


@also("L6", on="chunk")
def spell_the_delta(answer: CheckedAnswer) -> Iterator[Broken]:
    """A chunk's tokens may run ahead of its text, which waits for the end of a character."""
    for broken in spell_the_content(answer):
        yield broken._replace(severity="warning")


# Some servers list the log probabilities of their tokens among those of the content.
_UNSPOKEN = ("tool_calls", "function_call", "reasoning_content", "reasoning", "audio")


@rule(
    "L11", "error", "The bytes of the refusal's tokens spell the refusal.",
    on="response",
    basis='CreateChatCompletionResponse: "A list of message refusal tokens with log probability '
    'information."',
)  # fmt: skip
def spell_the_refusal(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        yield from _compare_text(choice, "refusal")


def _compare_text(choice: CheckedChoice, name: str) -> Iterator[Broken]:
    """Compare by bytes, or by tokens if one has no bytes. Broken bytes are not compared."""
    tokens = members(choice.value.get("logprobs")).get(name)
    text = choice.message.get(name) or ""
    if not isinstance(tokens, list) or not isinstance(text, str):
        return
    entries = [entry for _, entry in objects(tokens, "")]
    given = [_bytes(entry) for entry in entries]
    names = [token for entry in entries if isinstance(token := entry.get("token"), str)]
    if all(entry.get("bytes") is not None for entry in entries):
        spelled = None if None in given else b"".join(piece for piece in given if piece)
    elif len(names) == len(entries):
        spelled = utf8("".join(names))
    else:
        spelled = None
    if spelled is not None and spelled != utf8(text):
        message = (
            f"They spell {spelled.decode('utf-8', 'replace')[:40]!r}, but the text is different."
        )
        yield Broken(f"{choice.path}.logprobs.{name}", message, text)


@rule(
    "L7", "error", "No token has more alternatives than the request asked for.",
    on="response",
    basis='CreateChatCompletionRequest, top_logprobs: "The number of returned tokens may be fewer '
    'than requested."',
    fix="Cut to the number that the request asked for.",
)  # fmt: skip
def are_as_few_as_asked(answer: CheckedAnswer) -> Iterator[Broken]:
    if answer.request is None or not answer.request.wants_logprobs:
        return
    asked = answer.request.top_logprobs
    for path, _, others in answer.tokens:
        if len(others) > asked:
            message = f"There are {len(others)}, but the request asked for {asked}."
            yield Broken(f"{path}.top_logprobs", message)


@rule(
    "L8", "warning", "The alternatives are in descending order, without repeats.",
    on="response",
    basis='ChatCompletionTokenLogprob: "List of the most likely tokens and their log probability, '
    'at this token position." The sampled token need not be among them.',
)  # fmt: skip
def alternatives_descend(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, _, others in answer.tokens:
        values = [number(one.get("logprob")) for _, one in others]
        known = [value for value in values if value is not None]
        if any(before < after for before, after in itertools.pairwise(known)):
            yield Broken(f"{path}.top_logprobs", "They are not in descending order.", known)
        names = [
            (one["token"], _bytes(one)) for _, one in others if isinstance(one.get("token"), str)
        ]
        if len(set(names)) < len(names):
            counts = Counter(names)
            twice = next(name for name, data in names if counts[name, data] > 1)
            yield Broken(f"{path}.top_logprobs", "One of them comes twice.", twice)


@rule(
    "L9", "warning", "The probabilities of a token's alternatives add up to at most 1.",
    on="response",
    basis="They belong to one distribution. Servers that mix values from before and after sampling "
    "exceed 1.",
)  # fmt: skip
def probabilities_add_up(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, _, others in answer.tokens:
        values = [number(one.get("logprob")) for _, one in others]
        if all(value is not None and value <= LOGPROB_MAX for value in values):
            total = sum(math.exp(value) for value in values if value is not None)
            if total > PROBABILITY_MAX:
                yield Broken(f"{path}.top_logprobs", f"They add up to {total:.3f}.", values)


@rule(
    "L10", "warning", "A token that is among its alternatives has the same probability there.",
    on="response",
    basis="It is the same token at the same place.",
)  # fmt: skip
def agree_with_the_alternatives(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, token, others in answer.tokens:
        own = number(token.get("logprob"))
        for _, one in others:
            other = number(one.get("logprob"))
            if one.get("token") != token.get("token") or one.get("bytes") != token.get("bytes"):
                continue
            # L3 reports values that are not probabilities.
            if own is None or other is None or max(own, other) > LOGPROB_MAX:
                continue
            if abs(own - other) > TOLERANCE:
                yield Broken(f"{path}.logprob", f"The alternative has {other}.", own)


@rule(
    "L12", "warning", "The number of tokens is close to the number that the usage counts.",
    on="response",
    basis="Observed: 12 completion tokens for 11 with log probabilities. The token that ends the "
    "answer counts, and so do the tokens of the reasoning, which `usage` names.",
)  # fmt: skip
def are_as_many_as_counted(answer: CheckedAnswer) -> Iterator[Broken]:
    counted = integer(answer.usage.get("completion_tokens"))
    details = members(answer.usage.get("completion_tokens_details"))
    if counted is None or len(answer.choices) != 1:
        return
    [choice] = answer.choices
    if not answer.tokens or any(choice.message.get(name) for name in _UNSPOKEN):
        return
    hidden = counted - (integer(details.get("reasoning_tokens")) or 0) - len(answer.tokens)
    if not 0 <= hidden <= HIDDEN_TOKENS_MAX:
        message = f"{len(answer.tokens)} tokens came, but the usage counts {counted}."
        yield Broken(f"{choice.path}.logprobs", message)


@rule(
    "L13", "info", "Tokens are strings with log probabilities, not ids or plain probabilities.",
    on="response",
    basis="llama.cpp with post_sampling_probs sends `prob`, vLLM with return_tokens_as_token_ids "
    "`token_id:N`. The specification has neither.",
)  # fmt: skip
def are_no_ids(answer: CheckedAnswer) -> Iterator[Broken]:
    for path, entry in answer.entries:
        token = entry.get("token")
        if isinstance(token, str) and _TOKEN_ID.fullmatch(token):
            yield Broken(f"{path}.token", "It is a token id.", token)
        if "prob" in entry and "logprob" not in entry:
            yield Broken(f"{path}.prob", "It is a plain probability.", entry["prob"])


def _bytes(entry: Members) -> bytes | None:
    """The bytes of a token; None if they are null or not bytes."""
    given: Any = entry.get("bytes")
    if not isinstance(given, list) or not {*map(type, given)} <= {int}:
        return None
    try:
        return bytes(given)
    except (ValueError, OverflowError):
        return None
