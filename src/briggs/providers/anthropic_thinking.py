"""How much a model of Anthropic's thinks, and what a request cannot say beside that.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from briggs.providers.requests import Mends, find_limit
from briggs.types import tools
from briggs.types.request import CreateChatCompletionRequest

MAX_TOKENS = 32_000
"""Anthropic wants a limit; this is the least that one of its models of today can write."""

# The models that think by a budget of tokens only; all later ones decide for themselves.
# https://platform.claude.com/docs/en/build-with-claude/thinking, 2026-11-23
_BUDGETED = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(?!-[6-9]))")
_BUDGET_MIN = 1024
# Percent of the tokens that may be written at all.
_SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
_ANSWER_TOKENS = 8_000
"""What is left for the answer where the caller sets a budget and no limit."""
_TOP_P_MIN = 0.95
"""The least that a model takes while it thinks."""

# The last models that take both of `temperature` and `top_p`.
_SAMPLES_BY_BOTH = re.compile(r"claude-(2|3|instant|(opus|sonnet)-4-(0|2025))")


class Effort(NamedTuple):
    """What `reasoning_effort` means to a model of Anthropic's; what is empty is not sent."""

    thinking: dict[str, Any]
    output_config: dict[str, Any]
    has_budget: bool = False
    """Whether a number of tokens is set, here or by the caller."""


def encode_effort(effort: str, *, model: str, max_tokens: int) -> Effort:
    """A budget, where the model wants one, is a share of the tokens that it may write at all.

    It is always less than these: `settle_thinking` sees that there are enough of them.
    """
    if effort == "none":
        return Effort({"type": "disabled"}, {})
    if _BUDGETED.search(model):
        share = max_tokens * _SHARES.get(effort, 50) // 100
        budget = min(max(_BUDGET_MIN, share), max_tokens - 1)
        return Effort({"type": "enabled", "budget_tokens": budget}, {}, has_budget=True)
    return Effort({"type": "adaptive"}, {"effort": "low" if effort == "minimal" else effort})


def settle_thinking(
    request: CreateChatCompletionRequest,
    *,
    model: str,
    turns: list[dict[str, Any]],
    unsupported: list[str],
    mends: Mends,
) -> Effort:
    """How much to think. What the model refuses meanwhile is taken out of the request."""
    _settle_conflicts(request, model=model, turns=turns, unsupported=unsupported, mends=mends)
    if _thinks(request) and not _forces_call(request):
        _settle_sampling(request, unsupported)
    elif _is_set(request.temperature) and _is_set(request.top_p) and _samples_by_one(model):
        unsupported.append("top_p")
        request.top_p = None
    if not request.reasoning_effort:
        return Effort({}, {}, has_budget="budget_tokens" in (_find_own(request) or {}))
    effort = encode_effort(
        request.reasoning_effort, model=model, max_tokens=find_max_tokens(request)
    )
    if _forces_call(request) and _thinks(request):
        mends.note("reasoning_effort", "no thoughts before the answer, since it must call a tool")
        return effort._replace(thinking={}, has_budget=False)
    return effort


def _settle_conflicts(
    request: CreateChatCompletionRequest,
    *,
    model: str,
    turns: list[dict[str, Any]],
    unsupported: list[str],
    mends: Mends,
) -> None:
    """Take thinking out of a request that leaves no room for it."""
    if not _thinks(request):
        return
    own = _find_own(request)
    limit = find_limit(request)
    is_budgeted = _BUDGETED.search(model) is not None
    budget = _BUDGET_MIN if own is None else own.get("budget_tokens")
    is_short = isinstance(budget, int) and limit is not None and budget >= limit
    name = "thinking" if own else "reasoning_effort"
    if own and (is_short or _forces_call(request)):
        unsupported.append(name)
    elif _forces_call(request):
        # What is asked for in OpenAI's words is said as far as it goes.
        return
    elif is_short and is_budgeted:
        unsupported.append(name)
    elif is_budgeted and _lacks_thought(turns):
        mends.note(name, "left out, since the last calls come without what was thought")
    else:
        return
    request.reasoning_effort = None
    request.extra.pop("thinking", None)


def _thinks(request: CreateChatCompletionRequest) -> bool:
    """Whether a request asks for thoughts."""
    own = _find_own(request)
    if own:
        return own.get("type") != "disabled"
    return bool(request.reasoning_effort) and request.reasoning_effort != "none"


def find_max_tokens(request: CreateChatCompletionRequest) -> int:
    """The caller's limit, or else one that leaves room for an answer behind the thoughts."""
    limit = find_limit(request)
    if limit is not None:
        return limit
    budget = (_find_own(request) or {}).get("budget_tokens")
    return max(MAX_TOKENS, budget + _ANSWER_TOKENS) if isinstance(budget, int) else MAX_TOKENS


def _find_own(request: CreateChatCompletionRequest) -> dict[str, Any] | None:
    """What the caller says in Anthropic's own words."""
    own = request.extra.get("thinking")
    return own if isinstance(own, dict) else None


def _forces_call(request: CreateChatCompletionRequest) -> bool:
    match request.tool_choice:
        case "required" | tools.ChatCompletionNamedToolChoice():
            return True
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            return allowed.mode == "required"
        case tools.UnknownToolChoice(members=members):
            return members.get("type") in ("any", "tool")
    return False


def _lacks_thought(turns: list[dict[str, Any]]) -> bool:
    """Whether an answer that is to go on does not begin with a thought."""
    if not turns:
        return False
    last: list[dict[str, Any]] = turns[-1]["content"]
    if turns[-1]["role"] == "user":
        if not any(block.get("type") == "tool_result" or "toolResult" in block for block in last):
            return False
        last = turns[-2]["content"] if len(turns) > 1 else []
    first = last[0] if last else {}
    is_thought = first.get("type") in ("thinking", "redacted_thinking")
    return bool(first) and not is_thought and "reasoningContent" not in first


def _settle_sampling(request: CreateChatCompletionRequest, unsupported: list[str]) -> None:
    if _is_set(request.temperature):
        unsupported.append("temperature")
        request.temperature = None
    if isinstance(request.top_p, int | float) and request.top_p < _TOP_P_MIN:
        unsupported.append("top_p")
        request.top_p = None
    if request.extra.pop("top_k", None) is not None:
        unsupported.append("top_k")


def _samples_by_one(model: str) -> bool:
    return "claude" in model and not _SAMPLES_BY_BOTH.search(model)


def _is_set(value: Any) -> bool:
    """Whether a way to sample is one that does not hold anyway."""
    return isinstance(value, int | float) and value != 1
