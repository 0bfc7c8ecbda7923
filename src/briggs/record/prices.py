"""Prices a call: by the file's prices, else as its provider reports it, else by genai-prices.

Only tokens are priced, plus a fee for each call if the vendor charges one. Other items on the
vendor's bill, such as its own web searches, are not in the usage and so not in the cost.
"""

from __future__ import annotations

import functools
import gc
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from briggs.conform import Facts
from briggs.providers.base import Provider
from briggs.settings import PriceSettings
from briggs.types.completions import Completion, current_time_us
from briggs.types.envelope import Envelope

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_MILLION = 1_000_000
_MINUTE_US = 60_000_000
SERIES_MAX = 200
LOCAL = "local"
"""The provider whose models run here. They cost nothing, unless the file gives them a price."""
REPORTED = "provider"
"""The source of a cost that the provider itself reported."""
TOKENS_MAX = 1_000_000_000
"""No call uses more tokens. A larger count is an error, so the call gets no cost."""

# The vendors' names for the tier at the list's standard price.
_STANDARD = frozenset({None, "auto", "default", "on_demand", "standard"})

_HOUR = re.compile(rb'"ttl"\s*:\s*"1h"')

# Our name for each price, and the list's name.
_LISTED = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
}
# These tokens are billed apart, and a chat completion's usage cannot count them.
_UNCOUNTED = "output_citation_mtok"


class Rates(msgspec.Struct, frozen=True):
    """US dollars per million tokens.

    A rate of None is the same as `input` or `output`, except for audio, where it is unknown.
    """

    input: Decimal
    output: Decimal | None
    """None for a model that writes nothing, such as one for embeddings."""
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None


class Price(NamedTuple):
    """The source of a price, and its rates by the length of the prompt."""

    source: str
    tiers: Sequence[tuple[int, Rates]]
    """Pairs of a number of tokens and the rates for longer prompts: largest first, and 0 last."""
    request: Decimal = Decimal(0)
    """US dollars per call, in addition to its tokens."""


FREE = Price(LOCAL, [(0, Rates(input=Decimal(0), output=Decimal(0)))])


class Spent(msgspec.Struct):
    """The totals of the calls to one model since the start."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


class Prices:
    """Prices calls, and keeps the totals of what was spent."""

    def __init__(
        self,
        listed: Mapping[str, PriceSettings] | None = None,
        *,
        providers: Collection[Provider] = (),
        before: Prices | None = None,
    ) -> None:
        """If these prices replace others, they go on with the totals of those `before`."""
        self._own = {name: _read_settings(row) for name, row in (listed or {}).items()}
        self._addresses = {
            each.name: each.base_url
            for each in providers
            if each.base_url and _is_public(each.base_url)
        }
        self._is_needed = any(
            each.is_configured for each in providers if each.name in self._addresses
        )
        self.spent: dict[tuple[str, str], Spent] = before.spent if before else {}
        """By provider and model. Past `SERIES_MAX` entries, a provider's new models share one."""
        self.estimated: dict[tuple[str, str], Spent] = before.estimated if before else {}
        """The same for calls whose tokens we estimated. No other total includes them."""

    def load(self) -> None:
        """Read the list in a thread, if a vendor that it may price is configured.

        This takes up to a second and 25 MB. A call that ends before then waits for it.
        """
        if self._is_needed:
            threading.Thread(target=load_list, name="prices", daemon=True).start()

    def price(self, completion: Completion, facts: Facts, *, tier: str | None) -> None:
        """Write the cost of a call, from the file, else its provider, else the list."""
        is_counted = _are_counted(facts)
        if is_counted:
            completion.usage_source = "estimated" if facts.is_estimated else "provider"
        own = self._find_own(completion) if self._own else None
        if own is None and completion.provider == LOCAL:
            completion.cost_usd, completion.price_source = 0.0, LOCAL
        elif own is None and facts.cost_usd is not None:
            completion.cost_usd, completion.price_source = facts.cost_usd, REPORTED
        elif is_counted:
            price = own or self._find_listed(
                completion.provider or "",
                _find_served(completion),
                tier=tier,
                at=completion.created_at,
            )
            if price is not None and not _may_write_for_an_hour(completion, facts):
                _write_cost(completion, price, facts)
        if is_counted or completion.cost_usd is not None:
            self._add(completion, to=self.estimated if facts.is_estimated else self.spent)

    def find(self, provider: str, model: str, *, tier: Any = None) -> Price | None:
        """The price of a model now, at a tier of its vendor, by default the standard one.

        This may read the list, which takes up to a second.
        """
        if own := self._own.get(f"{provider}/{model}"):
            return own
        if provider == LOCAL:
            return FREE
        return self._find_listed(provider, model, tier=tier, at=current_time_us())

    def estimate(
        self, provider: str, model: str, envelope: Envelope, *, prompt: int, answer: int
    ) -> Decimal | None:
        """The most that so many tokens may cost in US dollars; None if the price is unknown.

        Nothing is taken to come from a cache. It may read the list, as `find` does.
        """
        price = self.find(provider, model, tier=envelope.values.get("service_tier"))
        if price is None:
            return None
        rates = price.tiers[-1][1]
        if len(price.tiers) > 1:
            rates = next((each for start, each in price.tiers if prompt > start), rates)
        if answer and rates.output is None:
            return None
        input, output = rates.input, rates.output or Decimal(0)
        output = max(output, rates.reasoning or output)
        if b'"cache_control"' in envelope.body:
            input = max(input, rates.cache_write or input, rates.cache_write_1h or input)
        return (prompt * input + answer * output) / _MILLION + price.request

    def _find_own(self, completion: Completion) -> Price | None:
        """The file's price for the model that answered, else for the one that was requested."""
        for model in (_find_served(completion), _find_asked(completion)):
            if own := self._own.get(f"{completion.provider or ''}/{model}"):
                return own
        return None

    def _find_listed(self, provider: str, model: str, *, tier: Any, at: int) -> Price | None:
        address = self._addresses.get(provider)
        if address is None:
            return None
        tier = None if tier in _STANDARD else tier
        return find_listed(address, model, tier, at // _MINUTE_US)

    def _add(self, completion: Completion, *, to: dict[tuple[str, str], Spent]) -> None:
        series = (completion.provider or "", completion.response_model or completion.model)
        if series not in to and len(to) >= SERIES_MAX:
            series = (series[0], "other")
        spent = to.get(series) or to.setdefault(series, Spent())
        spent.prompt_tokens += completion.prompt_tokens or 0
        spent.completion_tokens += completion.completion_tokens or 0
        spent.cost_usd += completion.cost_usd or 0


def price_logged(completion: Completion, facts: Facts) -> None:
    """Write the cost of a call that was answered elsewhere, if all vendors charge the same."""
    completion.cost_usd = completion.price_source = completion.usage_source = None
    is_counted = _are_counted(facts)
    if is_counted:
        completion.usage_source = "provider"
    if facts.cost_usd is not None:
        completion.cost_usd, completion.price_source = facts.cost_usd, REPORTED
        return
    if not is_counted:
        return
    if facts.service_tier not in _STANDARD or _may_write_for_an_hour(completion, facts):
        return
    offers = list_offers(facts.model or completion.model, completion.created_at // _MINUTE_US)
    if len({calculate(offer, facts) for offer in offers}) == 1:
        _write_cost(completion, offers[0], facts)


def find_basis(completion: Completion) -> tuple[object, ...]:
    """What the price of a call that was answered elsewhere depends on, beside its answer.

    Nothing, if it has no counts, or if its vendor reported the cost.
    """
    if completion.usage_source is None or completion.price_source == REPORTED:
        return ()
    writes_for_an_hour = completion.cache_write_tokens and _HOUR.search(completion.request)
    model = completion.response_model or completion.model
    return model, completion.created_at // _MINUTE_US, bool(writes_for_an_hour)


def _are_counted(facts: Facts) -> bool:
    return facts.prompt_tokens is not None and facts.completion_tokens is not None


def _write_cost(completion: Completion, price: Price, facts: Facts) -> None:
    cost = calculate(price, facts)
    if cost is not None:
        completion.cost_usd, completion.price_source = float(cost), price.source


def calculate(price: Price, facts: Facts) -> Decimal | None:
    """US dollars; None if the counts do not show how many tokens of each kind were used."""
    prompt, completion = facts.prompt_tokens, facts.completion_tokens
    assert prompt is not None and completion is not None, "only a call with counts has a price"
    if not (0 <= prompt <= TOKENS_MAX and 0 <= completion <= TOKENS_MAX):
        return None
    rates = next((rates for start, rates in price.tiers if prompt > start), price.tiers[-1][1])
    # Usage does not show how much audio was cached, and audio costs many times more than text.
    if facts.audio_input_tokens and (facts.cached_tokens or rates.audio_input is None):
        return None
    if facts.audio_output_tokens and rates.audio_output is None:
        return None
    if completion and rates.output is None:
        return None
    written = facts.cache_write_tokens or 0
    hour = min(facts.cache_write_1h_tokens or 0, written)
    input = _sum(
        prompt,
        rates.input,
        (facts.cached_tokens, rates.cached_input),
        (written - hour, rates.cache_write),
        (hour, rates.cache_write_1h or rates.cache_write),
        (facts.audio_input_tokens, rates.audio_input),
    )
    output = _sum(
        completion,
        rates.output or Decimal(0),
        (facts.reasoning_tokens, rates.reasoning),
        (facts.audio_output_tokens, rates.audio_output),
    )
    if input is None or output is None:
        return None
    return (input + output) / _MILLION + price.request


@functools.lru_cache(maxsize=1024)
def find_listed(address: str, model: str, tier: str | None, minute: int) -> Price | None:
    """The list's price for a model of the vendor at an address, at a minute of Unix time.

    Prices change with the date and, at some vendors, with the time of day. If the list has no
    price for a tier, the result is None, not the price of another tier.
    """
    snapshot = _open_list()
    try:
        provider = snapshot.find_provider(None, None, address)
    except LookupError:
        return None
    listed = provider.find_model(model, all_providers=snapshot.providers)
    if listed is None or not listed.prices:
        return None
    moment = datetime.fromtimestamp(minute * 60, UTC)
    if tier is None:
        return _read_listed(listed.get_prices(moment))
    # A vendor that sells another vendor's models may not offer that vendor's tiers.
    own = any(listed is each for each in provider.models)
    if not own or not _has_tier(listed, tier, moment=moment):
        return None
    return _read_listed(listed.get_prices(moment, {"service_tier": tier}))


def list_offers(model: str, minute: int) -> Sequence[Price]:
    """The list's prices for a model, at every vendor that sells one of this name."""
    moment = datetime.fromtimestamp(minute * 60, UTC)
    offers = (_read_listed(each.get_prices(moment)) for each in _list_sold(model))
    return [offer for offer in offers if offer is not None]


@functools.lru_cache(maxsize=1024)
def _list_sold(model: str) -> Sequence[ModelInfo]:
    # This takes ten milliseconds.
    sold = (provider.find_model(model.lower()) for provider in _open_list().providers)
    return [each for each in sold if each is not None and each.prices]


def _find_served(completion: Completion) -> str:
    """The model that answered, or the one that was requested if the answer does not tell."""
    served = completion.response_model
    return _find_asked(completion) if served in (None, completion.model) else served or ""


def _find_asked(completion: Completion) -> str:
    """The name of the model that we requested from the provider that answered."""
    targets = [attempt.target.partition("/") for attempt in reversed(completion.attempts)]
    return next((model for name, _, model in targets if name == completion.provider), "")


def _has_tier(listed: ModelInfo, tier: str, *, moment: datetime) -> bool:
    return any(
        variant.when == {"service_tier": tier}
        and (variant.constraint is None or variant.constraint.active(moment))
        for variant in listed.price_variants or ()
    )


def _read_listed(listed: ModelPrice) -> Price | None:
    """None if the list lacks the input price, or bills tokens that usage omits."""
    amounts = {name: getattr(listed, key) for name, key in _LISTED.items()}
    if amounts["input"] is None or getattr(listed, _UNCOUNTED):
        return None
    starts = {0, *(tier.start for amount in amounts.values() for tier in _tiers(amount))}
    tiers = [
        (start, msgspec.convert({name: _at(start, each) for name, each in amounts.items()}, Rates))
        for start in sorted(starts, reverse=True)
    ]
    thousand = listed.requests_kcount
    request = thousand / 1000 if isinstance(thousand, Decimal) else Decimal(0)
    return Price(_name_list(), tiers, request)


@functools.cache
def _name_list() -> str:
    return f"genai-prices {version('genai-prices')}"


def _tiers(amount: Decimal | TieredPrices | None) -> Sequence[Any]:
    return getattr(amount, "tiers", ())


def _at(start: int, amount: Decimal | TieredPrices | None) -> Decimal | None:
    """The amount for prompts of more than `start` tokens."""
    if amount is None or isinstance(amount, Decimal):
        return amount
    prices = [tier.price for tier in amount.tiers if tier.start <= start]
    return prices[-1] if prices else amount.base


def _sum(count: int, rate: Decimal, *parts: tuple[int | None, Decimal | None]) -> Decimal | None:
    """The cost of `count` tokens at a rate. Parts of them may have a rate of their own."""
    cost = Decimal(0)
    for part, own in parts:
        if part is not None and part < 0:
            return None
        if part and own is not None:
            cost += part * own
            count -= part
    return None if count < 0 else cost + count * rate


def _read_settings(row: PriceSettings) -> Price:
    """Convert the file's floats to the decimals that were written there."""
    return Price("briggs.toml", [(0, msgspec.convert(row, Rates, from_attributes=True))])


def _may_write_for_an_hour(completion: Completion, facts: Facts) -> bool:
    """Whether some cache writes may cost more, and the usage does not show which.

    https://docs.claude.com/en/docs/build-with-claude/prompt-caching, 2026-11-23
    """
    if not facts.cache_write_tokens or facts.cache_write_1h_tokens is not None:
        return False
    return _HOUR.search(completion.request) is not None


def _is_public(url: str) -> bool:
    """Whether a URL has a public host name. No vendor answers anywhere else."""
    host, dot, top = (urlsplit(url).hostname or "").rpartition(".")
    return bool(host and dot) and top.isalpha()


def _open_list() -> DataSnapshot:
    # Imported late to save time and memory. It never updates itself unless told to.
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


@functools.cache
def load_list() -> None:
    """Read the list, once. It takes up to a second and 25 MB."""
    _open_list()
    # The list lives as long as the process, so the garbage collector need not visit it.
    gc.freeze()
