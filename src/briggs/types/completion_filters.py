"""The fields of filters on completions: `tag = support and p_least < 0.2 and "refund"`."""

from __future__ import annotations

from typing import get_args

from briggs.types.completions import CallKind
from briggs.types.filters import AllOf, Comparison, Filter, FilterField, Vocabulary, parse_filter

CONDITIONS_MAX = 100
WORDS_LENGTH_MAX = 1_000
"""Characters of all words together. Each word is searched for in each body."""

_FIELDS = (
    FilterField(
        name="status",
        kind="text",
        choices=("finished", "failed", "started"),
        about="whether the call finished, failed, or still runs",
    ),
    FilterField(
        name="model", kind="text", has_none=True, about="as the caller or the answer names it"
    ),
    FilterField(name="provider", kind="text", has_none=True, about="who answered"),
    FilterField(
        name="kind",
        kind="text",
        choices=get_args(CallKind),
        about="what was asked for",
    ),
    FilterField(name="tag", kind="text", has_none=True, about="one of its tags"),
    FilterField(
        name="session",
        kind="text",
        aliases=("session_id",),
        has_none=True,
        about="the conversation that it belongs to",
    ),
    FilterField(name="user", kind="text", has_none=True, about="the end user"),
    FilterField(
        name="key",
        kind="text",
        aliases=("key_id",),
        has_none=True,
        about="the name or the id of the caller's key",
    ),
    FilterField(
        name="finish_reason",
        kind="text",
        has_none=True,
        about="why a choice ended, such as `stop` or `length`",
    ),
    FilterField(
        name="error",
        kind="text",
        aliases=("failure_kind",),
        has_none=True,
        about="how it failed, such as `upstream_timeout`",
    ),
    FilterField(name="created", kind="time", about="when it was asked; a day is a day in UTC"),
    FilterField(
        name="duration",
        kind="duration",
        has_none=True,
        about="the time until its end, with its unit: `2s`, `300ms`",
    ),
    FilterField(
        name="first_token",
        kind="duration",
        has_none=True,
        about="the time until the first output",
    ),
    FilterField(
        name="tokens",
        kind="number",
        aliases=("total_tokens",),
        has_none=True,
        about="all tokens",
    ),
    FilterField(name="prompt_tokens", kind="number", has_none=True, about="tokens of the request"),
    FilterField(
        name="completion_tokens", kind="number", has_none=True, about="tokens of the answer"
    ),
    FilterField(
        name="cached_tokens", kind="number", has_none=True, about="prompt tokens from a cache"
    ),
    FilterField(
        name="reasoning_tokens",
        kind="number",
        has_none=True,
        about="tokens of the answer that are reasoning",
    ),
    FilterField(
        name="cost",
        kind="number",
        aliases=("cost_usd",),
        has_none=True,
        about="US dollars; `none` if the price is not known",
    ),
    FilterField(
        name="p_mean",
        kind="number",
        has_none=True,
        about="the mean probability of its tokens, from 0 to 1; `none` without logprobs",
    ),
    FilterField(
        name="p_least",
        kind="number",
        has_none=True,
        about="the probability of its least likely token",
    ),
    FilterField(name="perplexity", kind="number", has_none=True, about="the inverse of `p_mean`"),
    FilterField(
        name="retries",
        kind="number",
        aliases=("retry_count",),
        about="which retry of its caller it is; 0 for the first try",
    ),
    FilterField(name="attempts", kind="number", about="how many targets were tried"),
    FilterField(name="http_status", kind="number", has_none=True, about="the status of the answer"),
    FilterField(
        name="rule",
        kind="text",
        aliases=("violates",),
        has_none=True,
        about="a rule that the upstream's answer broke, such as `C3`",
    ),
    FilterField(
        name="rules",
        kind="text",
        choices=("none", "mended", "left"),
        about="what became of broken rules: `mended`, `left` as they came, or `none` broken",
    ),
    FilterField(
        name="prompt",
        kind="text",
        has_none=True,
        about="the named prompt that it has, such as `support`, or `support@2` for one version",
    ),
    FilterField(
        name="graded",
        kind="text",
        choices=("none", "people", "api", "model"),
        about="who gave feedback on it, or `none`",
    ),
    FilterField(
        name="caller",
        kind="text",
        choices=("left", "stayed"),
        about="whether the caller left before the end of the answer",
    ),
    FilterField(
        name="source",
        kind="text",
        choices=("gateway", "client"),
        about="answered by Briggs (`gateway`) or logged by a program (`client`)",
    ),
    FilterField(
        name="stream", kind="text", choices=("true", "false"), about="whether it was streamed"
    ),
    FilterField(name="id", kind="text", about="our id"),
)

VOCABULARY = Vocabulary(
    fields=_FIELDS,
    families={
        "metadata.": FilterField(
            name="metadata.KEY", kind="text", has_none=True, about="the metadata of this key"
        ),
        "grade.": FilterField(
            name="grade.TASK.FIELD",
            has_none=True,
            about="what somebody answered to a feedback task",
        ),
    },
    conditions_max=CONDITIONS_MAX,
    example='tag = support and p_least < 0.2 and "refund"',
)


def parse_completion_filter(text: str) -> Filter | None:
    """Read a filter on completions. None for an empty one. Raises `InvalidFilter`."""
    return parse_filter(text, of=VOCABULARY) if text.strip() else None


def list_required(filter: Filter) -> list[Filter]:
    """The conditions that must all hold: those that no `or` or `not` encloses, one by one."""
    if isinstance(filter, AllOf):
        return [condition for each in filter.inner for condition in list_required(each)]
    return [filter]


def is_comparison(filter: Filter, field: str, operator: str) -> bool:
    """Whether it compares this field in this way with a value that is there."""
    return (
        isinstance(filter, Comparison)
        and (filter.field, filter.operator) == (field, operator)
        and not filter.value.is_none
    )
