"""Decides how much an Anthropic model thinks, and removes what thinking rules out.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from briggs.types import tools
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.requests import Mends, find_limit

MAX_TOKENS = 32_000
"""Anthropic requires a limit. Every current model can write at least this much."""

# These models think within a budget of tokens only. All later models choose how much to think.
# https://platform.claude.com/docs/en/build-with-claude/thinking, 2026-11-23
_BUDGETED = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(?!-[6-9]))")
# The models that continue an answer at the end of a request. Claude 4.6 and later do not.
# https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-6, 2026-11-29
_CONTINUING = re.compile(rf"claude-(2|instant)|{_BUDGETED.pattern}")
_BUDGET_MIN = 1024
# Percent of the tokens that the model may write in total.
_SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
EFFORTS = frozenset({"none", *_SHARES})
_ANSWER_TOKENS = 8_000
"""What is left for the answer if the caller sets a budget but no limit."""
_TOP_P_MIN = 0.95
"""The lowest `top_p` that a model accepts while it thinks."""

# The last models that accept `temperature` and `top_p` together.
_SAMPLES_BY_BOTH = re.compile(r"claude-(2|3|instant|(opus|sonnet)-4-(0|2025))")


class Effort(NamedTuple):
    """What `reasoning_effort` becomes for an Anthropic model. Empty members are not sent."""

    thinking: dict[str, Any]
    output_config: dict[str, Any]
    has_budget: bool = False
    """Whether a budget of tokens is set, here or by the caller."""


def encode_effort(effort: str, *, model: str, max_tokens: int) -> Effort:
    """Translate an effort. If the model needs a budget, it is a share of `max_tokens`.

    The budget is always below `max_tokens`: `settle_thinking` ensures that there are enough.
    """
    if effort == "none":
        return Effort({"type": "disabled"}, {})
    if _BUDGETED.search(model):
        share = max_tokens * _SHARES[effort] // 100
        budget = min(max(_BUDGET_MIN, share), max_tokens - 1)
        return Effort({"type": "enabled", "budget_tokens": budget}, {}, has_budget=True)
    return Effort({"type": "adaptive"}, {"effort": "low" if effort == "minimal" else effort})


def find_effort(thinking: dict[str, Any], *, max_tokens: int) -> str | None:
    """The least effort whose share of `max_tokens` is a caller's own budget, if it set one."""
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled" or not isinstance(budget, int):
        return None
    efforts = [effort for effort, share in _SHARES.items() if budget * 100 <= share * max_tokens]
    return efforts[0] if efforts else "high"


def continues(model: str) -> bool:
    """Whether a model continues an answer that the request ends with."""
    return "claude" not in model or _CONTINUING.search(model) is not None


def settle_thinking(
    request: CreateChatCompletionRequest,
    *,
    model: str,
    turns: list[dict[str, Any]],
    unsupported: list[str],
    mends: Mends,
) -> Effort:
    """Decide how much to think. Parameters that a thinking model refuses are taken out."""
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
        mends.note("reasoning_effort", "sent without thinking, since the answer must call a tool")
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
    is_short = limit is not None and limit <= _BUDGET_MIN
    name = "thinking" if own else "reasoning_effort"
    if own and (not _fits(own, limit=limit) or _forces_call(request)):
        unsupported.append(name)
    elif _forces_call(request):
        # `reasoning_effort` is OpenAI's parameter. It is sent as far as Anthropic allows.
        return
    elif is_short and is_budgeted:
        unsupported.append(name)
    elif is_budgeted and _lacks_thought(turns):
        mends.note(name, "left out, since the last tool calls come without their reasoning")
    else:
        return
    request.reasoning_effort = None
    request.extra.pop("thinking", None)


def _fits(own: dict[str, Any], *, limit: int | None) -> bool:
    """Whether Anthropic accepts the budget of the caller's own `thinking`."""
    budget = own.get("budget_tokens")
    if own.get("type") != "enabled":
        return True
    if not isinstance(budget, int) or budget < _BUDGET_MIN:
        return False
    return limit is None or budget < limit


def _thinks(request: CreateChatCompletionRequest) -> bool:
    """Whether a request asks the model to think."""
    own = _find_own(request)
    if own:
        return own.get("type") != "disabled"
    return bool(request.reasoning_effort) and request.reasoning_effort != "none"


def find_max_tokens(request: CreateChatCompletionRequest) -> int:
    """The caller's limit, or else one that leaves room for an answer after the thinking."""
    limit = find_limit(request)
    if limit is not None:
        return limit
    budget = (_find_own(request) or {}).get("budget_tokens")
    return max(MAX_TOKENS, budget + _ANSWER_TOKENS) if isinstance(budget, int) else MAX_TOKENS


def _find_own(request: CreateChatCompletionRequest) -> dict[str, Any] | None:
    """The caller's own `thinking`, in Anthropic's format."""
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
    """Whether the answer that the model continues does not begin with its reasoning."""
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
    """Whether a sampling parameter differs from its default of 1."""
    return isinstance(value, int | float) and value != 1
