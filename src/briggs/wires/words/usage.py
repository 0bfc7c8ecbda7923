"""Other vendors' names for the counts of a usage, each with its place in the specification.

From the answers and the documentation of DeepSeek, Moonshot, Anthropic, Bedrock, Gemini,
DashScope, xAI, Perplexity, SGLang, Portkey, new-api, LiteLLM, LangChain and OpenAI's own
Responses API, 2026-11-29.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from briggs.types.usage import COUNT_MAX, PARTS


class Word(NamedTuple):
    """A member of a usage that the specification has under another name."""

    path: str
    """Its path in the usage, with a dot between an object and its member."""
    place: str
    """Its path in the specification."""
    is_beside: bool = False
    """Whether its vendor counts these tokens in addition to those of the prompt.

    Gateways use the same names both ways. So if there is a total, the total decides.
    """


_PROMPT, _COMPLETION, _TOTAL = "prompt_tokens", "completion_tokens", "total_tokens"
CACHED = "prompt_tokens_details.cached_tokens"
WRITTEN = "prompt_tokens_details.cache_write_tokens"
REASONING = "completion_tokens_details.reasoning_tokens"
_AUDIO_IN = "prompt_tokens_details.audio_tokens"
_AUDIO_OUT = "completion_tokens_details.audio_tokens"

WORDS: tuple[Word, ...] = (
    # Totals: Anthropic and Responses, Bedrock, AI SDK, Gemini, watsonx.
    Word("input_tokens", _PROMPT),
    Word("inputTokens", _PROMPT),
    Word("promptTokens", _PROMPT),
    Word("promptTokenCount", _PROMPT),
    Word("prompt_token_count", _PROMPT),
    Word("input_token_count", _PROMPT),
    Word("output_tokens", _COMPLETION),
    Word("outputTokens", _COMPLETION),
    Word("completionTokens", _COMPLETION),
    Word("candidatesTokenCount", _COMPLETION),
    Word("candidates_token_count", _COMPLETION),
    Word("generated_token_count", _COMPLETION),
    Word("totalTokens", _TOTAL),
    Word("totalTokenCount", _TOTAL),
    Word("total_token_count", _TOTAL),
    # Read from a cache. DeepSeek; Moonshot, Together; Anthropic; Bedrock; Gemini; xAI; others.
    Word("prompt_cache_hit_tokens", CACHED),
    Word("cached_tokens", CACHED),
    Word("cache_read_input_tokens", CACHED, is_beside=True),
    Word("cacheReadInputTokens", CACHED, is_beside=True),
    Word("cachedContentTokenCount", CACHED),
    Word("cached_content_token_count", CACHED),
    Word("cached_prompt_text_tokens", CACHED),
    Word("cached_prompt_tokens", CACHED),
    Word("prompt_cached_tokens", CACHED),
    Word("cached_input_tokens", CACHED),
    Word("cachedInputTokens", CACHED),
    Word("cache_read_tokens", CACHED),
    Word("num_cached_tokens", CACHED),
    Word("prompt_tokens_details.cache_read_input_tokens", CACHED),
    Word("prompt_tokens_details.cache_read_tokens", CACHED),
    Word("input_tokens_details.cached_tokens", CACHED),
    Word("input_tokens_details.cache_read_tokens", CACHED),
    Word("input_token_details.cache_read", CACHED),
    # Written to a cache. Anthropic; Bedrock; others; DashScope; LiteLLM; new-api; LangChain.
    Word("cache_creation_input_tokens", WRITTEN, is_beside=True),
    Word("cacheWriteInputTokens", WRITTEN, is_beside=True),
    Word("cache_write_input_tokens", WRITTEN, is_beside=True),
    Word("cache_creation_tokens", WRITTEN),
    Word("cache_write_tokens", WRITTEN),
    Word("prompt_tokens_details.cache_creation_input_tokens", WRITTEN),
    Word("prompt_tokens_details.cache_creation_tokens", WRITTEN),
    Word("prompt_tokens_details.cached_creation_tokens", WRITTEN),
    Word("input_tokens_details.cache_creation_input_tokens", WRITTEN),
    Word("input_tokens_details.cache_write_tokens", WRITTEN),
    Word("input_token_details.cache_creation", WRITTEN),
    # Reasoning. SGLang, Perplexity; Gemini, whose total includes it; Responses; LangChain.
    Word("reasoning_tokens", REASONING),
    Word("thinking_tokens", REASONING),
    Word("reasoningTokens", REASONING),
    Word("thoughtsTokenCount", REASONING),
    Word("thoughts_token_count", REASONING),
    Word("output_tokens_details.reasoning_tokens", REASONING),
    Word("output_tokens_details.thinking_tokens", REASONING),
    Word("output_token_details.reasoning", REASONING),
    # Audio. Responses; LangChain; others.
    Word("input_tokens_details.audio_tokens", _AUDIO_IN),
    Word("input_token_details.audio", _AUDIO_IN),
    Word("prompt_audio_tokens", _AUDIO_IN),
    Word("audio_input_tokens", _AUDIO_IN),
    Word("output_tokens_details.audio_tokens", _AUDIO_OUT),
    Word("output_token_details.audio", _AUDIO_OUT),
    Word("completion_audio_tokens", _AUDIO_OUT),
    Word("audio_output_tokens", _AUDIO_OUT),
)

LIFETIMES = "cache_creation"
"""Anthropic's object in a usage: the tokens that were written to a cache, by their lifetime."""
_LIFETIMES_PATHS: tuple[str, ...] = (
    LIFETIMES,
    "prompt_tokens_details.cache_creation",
    "prompt_tokens_details.cache_creation_token_details",
)
"""Where it is: Anthropic, DashScope, LiteLLM."""

_COUNTS = (_PROMPT, _COMPLETION, _TOTAL)
_WHOLES = ("prompt_tokens_details", "completion_tokens_details")
_OURS = frozenset((*_COUNTS, *_WHOLES))
_PARTS = frozenset(PARTS)
_ROWS: dict[str, list[int]] = {}
"""Maps the first member of a path to rows of `WORDS`."""
for _row, _word in enumerate(WORDS):
    _ROWS.setdefault(_word.path.partition(".")[0], []).append(_row)


def find_lifetimes(usage: dict[str, Any]) -> dict[str, Any] | None:
    """The object with the tokens that were written to a cache, by their lifetime."""
    found = (look_up(usage, path) for path in _LIFETIMES_PATHS)
    return next((one for one in found if isinstance(one, dict)), None)


def read_hour(lifetimes: Any) -> int | None:
    """The tokens that were written to a cache for an hour."""
    given = lifetimes if isinstance(lifetimes, dict) else {}
    count = given.get("ephemeral_1h_input_tokens")
    return count if type(count) is int and 0 <= count <= COUNT_MAX else None


def translate_words(usage: dict[str, Any]) -> dict[str, int]:
    """U7: the counts that a usage has under other names, by their place in the specification.

    Without counts that are already in the right place. A part that is larger than its whole
    counts something else, and is left out.
    """
    if _is_ours(usage):
        return {}
    told: dict[str, int] = {}
    beside: dict[str, int] = {}
    for path, place, is_beside in _list_words(usage):
        count = read_count(look_up(usage, path))
        if count is None:
            continue
        if is_beside:
            beside.setdefault(place, count)
        given = read_count(look_up(usage, place))
        # If both are given, the specification's name counts. A 0 counts as absent.
        is_new = given is None and place in _COUNTS
        if not told.get(place) and (is_new or (count and not given)):
            told[place] = count
    if told or any(beside.values()):
        _add_beside(usage, told, beside=sum(beside.values()))
        _drop_excess(usage, told)
    return told


def _is_ours(usage: dict[str, Any]) -> bool:
    """Whether a usage has only the specification's names. Nearly all have."""
    return usage.keys() <= _OURS and all(
        isinstance(details := usage.get(name), dict) and details.keys() <= _PARTS
        for name in _WHOLES
        if name in usage
    )


def _list_words(usage: dict[str, Any]) -> list[Word]:
    """The rows of the table that may apply to a usage, in order."""
    heads = _ROWS.keys() & usage.keys()
    return [WORDS[row] for row in sorted(row for head in heads for row in _ROWS[head])]


def _add_beside(usage: dict[str, Any], told: dict[str, int], *, beside: int) -> None:
    """Add cache reads and writes to the prompt's count, if it does not include them."""
    given = (told.get(name, read_count(usage.get(name))) for name in _COUNTS)
    prompt, completion, total = given
    if prompt is None or not beside:
        return
    is_out = "prompt_tokens" in told
    if completion is not None and total is not None:
        apart = total - prompt - completion
        is_out = apart == beside if apart in (0, beside) else is_out
    if is_out or beside > prompt:
        told["prompt_tokens"] = prompt + beside
        if completion is not None and total is not None:
            told["total_tokens"] = max(total, prompt + beside + completion)


def _drop_excess(usage: dict[str, Any], told: dict[str, int]) -> None:
    given = (told.get(name, read_count(usage.get(name))) for name in _COUNTS)
    prompt, completion, total = given
    for place in [place for place in told if "." in place]:
        whole = prompt if place.startswith("prompt") else completion
        if whole is None or told[place] <= whole:
            continue
        is_apart = place == REASONING and total == (prompt or 0) + whole + told[place]
        if not is_apart:
            del told[place]


def look_up(usage: dict[str, Any], path: str) -> Any:
    """The member at a path of the table. None if it does not exist."""
    name, is_part, part = path.partition(".")
    value = usage.get(name)
    if not is_part:
        return value
    return value.get(part) if isinstance(value, dict) else None


def read_count(value: Any) -> int | None:
    """Read a count of tokens: a whole number, also as a float or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN and Infinity fail the comparison.
    return int(value) if 0 <= value <= COUNT_MAX and value == int(value) else None
