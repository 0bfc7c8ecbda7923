"""The cost of a call that a provider reports in a usage, under any provider's name for it."""

from __future__ import annotations

from typing import Any, NamedTuple

from briggs.wires.words.usage import look_up

COST_USD_MAX = 10_000
"""No call costs more. A larger number is not a cost in US dollars."""


class Cost(NamedTuple):
    """A member of a usage with the cost of the call."""

    path: str
    unit_usd: float = 1.0
    """The unit, in US dollars."""


_COSTS: tuple[Cost, ...] = (
    # OpenRouter, LiteLLM; Perplexity; DeepInfra; xAI, in ten-billionths of a dollar.
    Cost("cost"),
    Cost("cost.total_cost"),
    Cost("total_cost"),
    Cost("cost_usd"),
    Cost("estimated_cost"),
    Cost("cost_in_usd_ticks", 1e-10),
)
_HEADS = frozenset(cost.path.partition(".")[0] for cost in _COSTS)


def read_cost(usage: Any) -> float | None:
    """The cost that the provider reports, in US dollars. None if it is missing or impossible."""
    if not isinstance(usage, dict):
        return None
    if usage.keys().isdisjoint(_HEADS):
        return None
    costs = (read_dollars(look_up(usage, path), unit_usd=unit) for path, unit in _COSTS)
    cost = next((cost for cost in costs if cost is not None), None)
    if cost is None or usage.get("is_byok") is not True:
        return cost
    # If the caller's own key pays the vendor, OpenRouter's cost is only its fee.
    # https://openrouter.ai/docs/use-cases/usage-accounting, 2026-11-29
    upstream = read_dollars(look_up(usage, "cost_details.upstream_inference_cost"))
    return None if upstream is None else cost + upstream


def read_dollars(value: Any, *, unit_usd: float = 1) -> float | None:
    """Read a number, or a number as text, that is plausible as the cost of a call."""
    if isinstance(value, str) and len(value) < 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN is not in any range. Compare before multiplying: an int may be too large for a float.
    return value * unit_usd if 0 <= value <= COST_USD_MAX / unit_usd else None
