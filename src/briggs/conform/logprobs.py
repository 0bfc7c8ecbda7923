"""The logprobs of a choice, and the bytes of its tokens.

A character may span several tokens. Some servers then write U+FFFD as the token's text and, worse,
also as its bytes. The text of the answer still has the character. Often there is only one way to
divide its bytes among the tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from briggs.conform.drafts import Draft
from briggs.conform.strict import Asked
from briggs.rules.specification import StrictLogprobs

_REPLACEMENT = "\ufffd"
# Each U+FFFD is an incomplete UTF-8 character, or an invalid byte: 1 to 3 bytes.
_CUT_BYTES_MAX = 3
_ESCAPED = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
# The specification's value for a very unlikely token.
_VERY_UNLIKELY = -9999.0
# How many ways to divide the text so far are followed at once.
_WAYS_MAX = 64
# The most U+FFFD in one token, and the average number of ways that are tried for each token.
_CUT_MAX = 8
_READINGS_MAX = 16


def are_cut(logprobs: StrictLogprobs) -> bool:
    """Whether any token's text has U+FFFD. Then its bytes must be checked."""
    tokens = [*(logprobs.content or ()), *(logprobs.refusal or ())]
    return _REPLACEMENT in "".join([token.token for token in tokens])


def restore_logprobs(choice: Draft, message: Draft | None, *, asked: Asked) -> None:
    """L1 to L7: drop unrequested logprobs and alternatives, add required members, mend bytes."""
    if not asked.logprobs and choice.get("logprobs") is not None:
        choice.set("logprobs", None, rule="L1")
    logprobs = choice.object("logprobs")
    if logprobs is None:
        return
    for name in ("content", "refusal"):
        logprobs.require(name, rule="L2")
        tokens = list(logprobs.objects(name, place="*"))
        for token in tokens:
            _restore_token(token, top=asked.top_logprobs)
        text = message.get(name) if message is not None else None
        if isinstance(text, str) and text:
            _restore_bytes(tokens, text)


def restore_numbers(answer: Draft) -> None:
    """L3: drop alternatives without a finite logprob. If a token has none, drop all logprobs."""
    for choice in answer.objects("choices"):
        logprobs = choice.object("logprobs")
        if logprobs is None:
            continue
        for name in ("content", "refusal"):
            for token in logprobs.objects(name, place="*"):
                alternatives = list(token.objects("top_logprobs", place="*"))
                kept = [one.members for one in alternatives if _restore_number(one)]
                if len(kept) < len(alternatives):
                    token.set("top_logprobs", kept, rule="L3")
                if not _restore_number(token):
                    choice.set("logprobs", None, rule="L3")


def _restore_number(entry: Draft) -> bool:
    logprob = entry.get("logprob")
    if logprob == -math.inf:
        entry.set("logprob", _VERY_UNLIKELY, rule="L3")
        return True
    return not isinstance(logprob, float) or math.isfinite(logprob)


def _restore_token(token: Draft, *, top: int) -> None:
    token.require("bytes")
    token.require("top_logprobs", value=[])
    alternatives = token.get("top_logprobs")
    if alternatives is None:
        token.set("top_logprobs", [], rule="E5")
    elif isinstance(alternatives, list) and len(alternatives) > top:
        token.set("top_logprobs", alternatives[:top], rule="L7")
    for alternative in token.objects("top_logprobs", place="*"):
        alternative.require("bytes")
        _drop_impossible(alternative)


def _restore_bytes(tokens: list[Draft], text: str) -> None:
    """L4, L6: set the tokens' bytes, if there is only one way to divide the text."""
    given = [token.get("bytes") for token in tokens]
    encoded = text.encode("utf-8", "surrogatepass")
    if all(map(_are_bytes, given)) and b"".join(map(bytes, given)) == encoded:
        return
    names = [token.get("token") for token in tokens]
    shares = _share(encoded, names) if all(isinstance(name, str) for name in names) else None
    for number, token in enumerate(tokens):
        held = given[number]
        if shares is None:
            _drop_impossible(token)
        elif held is not None or _REPLACEMENT in names[number]:
            token.set("bytes", list(shares[number]), rule="L6" if _are_bytes(held) else "L4")


def _drop_impossible(token: Draft) -> None:
    """L4: replace a list with numbers that are not bytes by null."""
    held = token.get("bytes")
    if isinstance(held, list) and not _are_bytes(held):
        token.set("bytes", None, rule="L4")


def _are_bytes(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one <= 255 for one in value)


def _share(text: bytes, tokens: list[str]) -> list[bytes] | None:
    """Divide the bytes of a text among its tokens. None if there is no way, or more than one.

    For each token, `reached` maps each place in the text where the token may end to the
    token's bytes, or to None if several ways lead there.
    """
    ways: list[dict[int, bytes | None]] = [{0: b""}]
    readings = _WAYS_MAX * _READINGS_MAX + len(tokens) * _READINGS_MAX
    for token in tokens:
        if token.count(_REPLACEMENT) > _CUT_MAX:
            return None
        reached: dict[int, bytes | None] = {}
        readings -= len(ways[-1])
        if readings < 0:
            return None
        for begin, share_before in ways[-1].items():
            for share in _list_shares(text, begin, token):
                end = begin + len(share)
                is_only = end not in reached and share_before is not None
                reached[end] = share if is_only else None
        if not 0 < len(reached) <= _WAYS_MAX:
            return None
        ways.append(reached)
    shares: list[bytes] = []
    end = len(text)
    for reached in reversed(ways[1:]):
        last = reached.get(end)
        if last is None:
            return None
        shares.append(last)
        end -= len(last)
    return shares[::-1]


def _list_shares(text: bytes, begin: int, token: str) -> Iterator[bytes]:
    """The possible bytes of a token that begins at this place."""
    plain = token.encode("utf-8", "surrogatepass")
    if text.startswith(plain, begin):
        yield plain
    if _REPLACEMENT in token:
        rest = len(plain) - 3 * token.count(_REPLACEMENT)
        longest = rest + _CUT_BYTES_MAX * token.count(_REPLACEMENT)
        for size in range(rest + token.count(_REPLACEMENT), longest + 1):
            share = text[begin : begin + size]
            if share != plain and len(share) == size and share.decode("utf-8", "replace") == token:
                yield share
    elif _ESCAPED.fullmatch(token):
        share = bytes.fromhex(token.replace("\\x", ""))
        if text.startswith(share, begin):
            yield share
