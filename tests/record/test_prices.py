"""The cost of a call: by hand-computed values, by the list's own arithmetic, and in the record."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from briggs.conform import Asked, Facts, conform_response
from briggs.providers.base import Provider
from briggs.providers.catalog import CATALOG
from briggs.record.prices import SERIES_MAX, Prices, calculate, find_listed
from briggs.settings import PriceSettings, SettingsError, open_settings
from briggs.types.completions import Attempt, Completion
from briggs.wires.openai.face import CHAT_FACE
from tests.api.behaviours import ok
from tests.processes import Server, Upstream, create_chunk, create_response, run_server
from tests.waiting import PATIENCE_S

ANTHROPIC = "https://api.anthropic.com/v1"
AZURE = "https://resource.openai.azure.com/openai/v1"
DEEPSEEK = "https://api.deepseek.com/v1"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta"
OPENAI = "https://api.openai.com/v1"
PERPLEXITY = "https://api.perplexity.ai"

MESSAGES = [{"role": "user", "content": "hi"}]


class Vendor(NamedTuple):
    """A provider with only what prices need."""

    name: str
    base_url: str | None
    is_configured: bool = True


def open_prices(*vendors: Vendor, **listed: PriceSettings) -> Prices:
    return Prices(listed, providers=cast("list[Provider]", vendors))


def create_completion(provider: str = "mine", *, asked: str = "m", **members: Any) -> Completion:
    return Completion(
        organization_id="default",
        provider=provider,
        model=f"{provider}/{asked}",
        created_at=minute("2026-11-01") * 60_000_000,
        attempts=[Attempt(target=f"{provider}/{asked}", duration_ms=1)],
        **members,
    )


def minute(moment: str) -> int:
    return int(datetime.fromisoformat(f"{moment}+00:00").timestamp()) // 60


def count(prompt: int, completion: int, **parts: Any) -> Facts:
    return Facts(prompt_tokens=prompt, completion_tokens=completion, **parts)


@pytest.mark.parametrize(
    ("address", "model", "when", "facts", "cost"),
    [
        # 600 at $2.50, 400 at $1.25, 500 at $10: OpenAI's cached tokens are part of the prompt.
        (OPENAI, "gpt-4o-2024-08-06", "2026-11-01", count(1000, 500, cached_tokens=400), "0.007"),
        # Reasoning is output: 300 at $1.25, 2000 at $10.
        (OPENAI, "gpt-5", "2026-11-01", count(300, 2000, reasoning_tokens=1900), "0.020375"),
        # Azure sells OpenAI's models at OpenAI's prices, and has no row for each of its own.
        (AZURE, "gpt-4o-2024-08-06", "2026-11-01", count(1000, 500), "0.0075"),
        # 3000 at $3, 2000 read at $0.30, 5000 written at $3.75, 1000 at $15.
        (
            ANTHROPIC,
            "claude-sonnet-4-5-20250929",
            "2026-11-01",
            count(10_000, 1000, cached_tokens=2000, cache_write_tokens=5000),
            "0.04335",
        ),
        # Up to 200,000 tokens of prompt $1.25 and $10, past it $2.50 and $15 for all of them.
        (GOOGLE, "gemini-2.5-pro", "2026-11-01", count(200_000, 1000), "0.26"),
        (GOOGLE, "gemini-2.5-pro", "2026-11-01", count(200_001, 1000), "0.5150025"),
        # A fine-tuned model is not sold at the price of the one that it was made from.
        (OPENAI, "ft:gpt-4o-mini-2024-07-18:us::1", "2026-11-01", count(1000, 1000), "0.0015"),
        # $10 and $40 until June 2025, then $2 and $8.
        (OPENAI, "o3", "2025-06-01", count(1000, 1000), "0.05"),
        (OPENAI, "o3", "2025-07-01", count(1000, 1000), "0.01"),
        # $0.27 and $1.10 by day, half of it by night.
        (DEEPSEEK, "deepseek-chat", "2025-07-01T12:00", count(1000, 1000), "0.00137"),
        (DEEPSEEK, "deepseek-chat", "2025-07-01T17:00", count(1000, 1000), "0.000685"),
        # $12 for a thousand calls, and $1 and $1 for the tokens.
        (PERPLEXITY, "sonar", "2026-11-01", count(1000, 1000), "0.014"),
    ],
)
def test_computed_by_hand(address: str, model: str, when: str, facts: Facts, cost: str) -> None:
    """A call has the price on the vendor's page for its model, date and tokens."""
    price = find_listed(address, model, None, minute(when))
    assert price is not None
    assert calculate(price, facts) == Decimal(cost)


@pytest.mark.parametrize(
    ("address", "model", "tier", "when"),
    [
        (OPENAI, "gpt-17-made-up", None, "2026-11-01"),
        ("https://api.example.com/v1", "gpt-5", None, "2026-11-01"),
        (OPENAI, "gpt-5", "scale", "2026-11-01"),
        # The price of a tier before it was listed is unknown.
        (OPENAI, "gpt-5", "flex", "2026-01-01"),
        # The price of another vendor's tier at Azure is unknown.
        (AZURE, "gpt-5", "flex", "2026-11-01"),
        # Its citations are billed, but no chat completion counts them.
        (PERPLEXITY, "sonar-deep-research", None, "2026-11-01"),
    ],
)
def test_unknown_price(address: str, model: str, tier: str | None, when: str) -> None:
    """If the list has no price, the result is None, not another price."""
    assert find_listed(address, model, tier, minute(when)) is None


def test_tier() -> None:
    """A service tier has its own list price: flex costs half of the standard price."""
    flex = find_listed(OPENAI, "gpt-5-2025-08-07", "flex", minute("2026-11-01"))
    assert flex is not None
    assert calculate(flex, count(1000, 100)) == Decimal("0.001125")


@pytest.mark.parametrize(
    "facts",
    [
        count(10, 5, cached_tokens=8, cache_write_tokens=8),
        count(10, 5, audio_input_tokens=4),
        count(10, 5, audio_output_tokens=4),
    ],
)
def test_counts_that_cannot_be_priced(facts: Facts) -> None:
    """There is no cost if parts exceed the whole, or if audio has no price."""
    price = find_listed(ANTHROPIC, "claude-sonnet-4-5", None, minute("2026-11-01"))
    assert price is not None
    assert calculate(price, facts) is None


def test_arithmetic_is_the_lists() -> None:
    """For every model of the catalog's vendors, the cost equals genai-prices' own result."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    draw = random.Random(7)
    compared = 0
    for address, model, tier in _list_models():
        price = find_listed(address, model, tier, int(now.timestamp()) // 60)
        if price is None:
            continue
        prompt = draw.choice([0, 1000, 200_000, 200_001, 300_000])
        # A model that writes nothing has no price for that.
        completion = 0 if price.tiers[0][1].output is None else draw.choice([0, 5000])
        parts = {
            "cached_tokens": prompt // draw.choice([3, 1_000_000]),
            "cache_write_tokens": prompt // draw.choice([4, 1_000_000]),
            "reasoning_tokens": completion // draw.choice([2, 1_000_000]),
        }
        parts["cache_write_1h_tokens"] = parts["cache_write_tokens"] // draw.choice([1, 3])
        usage = Usage(
            input_tokens=prompt,
            output_tokens=completion,
            cache_read_tokens=parts["cached_tokens"],
            cache_write_tokens=parts["cache_write_tokens"],
            cache_write_1h_tokens=parts["cache_write_1h_tokens"],
            output_reasoning_tokens=parts["reasoning_tokens"],
        )
        theirs = calc_price(
            usage,
            model,
            provider_api_url=address,
            genai_request_timestamp=now,
            price_context={"service_tier": tier} if tier else None,
        )
        assert calculate(price, count(prompt, completion, **parts)) == theirs.total_price, model
        compared += 1
    assert compared > 1000


def _list_models() -> Iterator[tuple[str, str, str | None]]:
    snapshot = get_snapshot()
    addresses = {vendor.base_url for vendor in CATALOG if vendor.base_url} | {ANTHROPIC, GOOGLE}
    for address in sorted(addresses):
        try:
            provider = snapshot.find_provider(None, None, address)
        except LookupError:
            continue
        for model in provider.models:
            for tier in (None, "flex", "priority"):
                yield address, model.id, tier


def test_own_price() -> None:
    """A price in the file overrides the list's, for the model that answered or was requested."""
    own = PriceSettings(input=0.1, cached_input=0.02, output=0.3, audio_output=7)
    prices = open_prices(Vendor("mine", OPENAI), **{"mine/gpt-5": own, "local/tiny": own})
    for completion in (
        create_completion("mine", asked="fast", response_model="gpt-5"),
        create_completion("local", asked="tiny", response_model="tiny.gguf"),
    ):
        facts = count(1000, 100, cached_tokens=500, audio_output_tokens=10)
        prices.price(completion, facts, tier="flex")
        # 500 at $0.10, 500 at $0.02, 90 at $0.30, 10 at $7.
        assert completion.cost_usd == 0.000157
        assert completion.price_source == "briggs.toml"


@pytest.mark.parametrize("name", ["gpt-5", "opanai/gpt-5"])
def test_price_of_nobodys_model(tmp_path: Path, name: str) -> None:
    """A file with a price for a model of no provider is refused."""
    path = tmp_path / "briggs.toml"
    path.write_text(f'[providers.openai]\n[prices."{name}"]\ninput = 1\noutput = 2\n')
    with pytest.raises(SettingsError, match=r"not a provider/model.*openai"):
        open_settings(config=path)


def test_served_model_is_priced() -> None:
    """The price is that of the model that answered, not of the one that was requested."""
    prices = open_prices(Vendor("mine", OPENAI))
    completion = create_completion(asked="gpt-4o", response_model="gpt-4o-mini-2024-07-18")
    prices.price(completion, count(1000, 1000), tier="auto")
    assert completion.cost_usd == 0.00075
    assert completion.price_source is not None
    assert completion.price_source.startswith("genai-prices ")


def test_answer_without_a_model() -> None:
    """If the answer only repeats the caller's name for the model, the requested model is priced."""
    completion = create_completion(asked="gpt-4o-mini")
    completion.model = completion.response_model = "fast"
    open_prices(Vendor("mine", OPENAI)).price(completion, count(1000, 1000), tier=None)
    assert completion.cost_usd == 0.00075


@pytest.mark.parametrize(
    "vendor",
    [
        Vendor("mine", None),
        Vendor("mine", "http://127.0.0.1:8000/v1"),
        Vendor("mine", "http://[::1]:8000/v1"),
        Vendor("mine", "http://localhost:8000/v1"),
        Vendor("other", OPENAI),
    ],
)
def test_no_price_at_home(vendor: Vendor) -> None:
    """A provider on one's own machine has no price, whatever its model is called."""
    completion = create_completion(asked="gpt-5", response_model="gpt-5")
    open_prices(vendor).price(completion, count(1000, 1000), tier=None)
    assert (completion.usage_source, completion.cost_usd) == ("provider", None)
    assert completion.price_source is None


def test_a_model_that_runs_here_costs_nothing() -> None:
    """Unless the file gives it a price. An estimate says the same."""
    envelope = CHAT_FACE.read_request(
        b'{"model": "local/m", "messages": [{"role": "user", "content": "x"}]}'
    )
    priced = PriceSettings(input=2.0, output=0.0)
    for prices, cost, source in (
        (open_prices(), 0.0, "local"),
        (open_prices(**{"local/m": priced}), 2.0, "briggs.toml"),
    ):
        call = create_completion("local")
        prices.price(call, count(1_000_000, 1), tier=None)
        assert (call.cost_usd, call.price_source) == (cost, source)
        assert prices.estimate("local", "m", envelope, prompt=1_000_000, answer=1) == cost


def test_usage_that_did_not_come() -> None:
    """Without counts, a call has no usage source and no cost."""
    completion = create_completion(response_model="gpt-5")
    open_prices(Vendor("mine", OPENAI)).price(completion, Facts(), tier=None)
    assert (completion.usage_source, completion.cost_usd) == (None, None)


@pytest.mark.parametrize(
    ("ttl", "told", "cost"),
    [
        # 5000 at $3.75, 10 at $15.
        ("5m", {}, 0.0189),
        ("1h", {}, None),
        # 1000 at $3.75, 4000 at $6, 10 at $15.
        ("1h", {"cache_write_1h_tokens": 4000}, 0.0279),
    ],
)
def test_cache_of_an_hour(ttl: str, told: dict[str, int], cost: float | None) -> None:
    """One-hour cache writes cost more. If the usage does not separate them, there is no cost."""
    completion = create_completion(response_model="claude-sonnet-4-5")
    completion.request = b'{"messages":[{"cache_control":{"ttl": "%s"}}]}' % ttl.encode()
    facts = count(5000, 10, cache_write_tokens=5000, **told)
    open_prices(Vendor("mine", ANTHROPIC)).price(completion, facts, tier="standard")
    assert completion.cost_usd == cost


def test_sums_are_bounded() -> None:
    """Totals are kept by provider and model. Past the limit, other models share one entry."""
    prices = open_prices()
    for number in range(SERIES_MAX + 10):
        completion = create_completion(
            response_model=f"m-{number}", prompt_tokens=3, completion_tokens=2
        )
        prices.price(completion, count(3, 2), tier=None)
    assert len(prices.spent) == SERIES_MAX + 1
    assert prices.spent["mine", "m-0"].prompt_tokens == 3
    assert prices.spent["mine", "other"].completion_tokens == 20


def test_list_is_read_late() -> None:
    """The start does not load the list, and the list never uses the network."""
    program = (
        "import sys, socket, briggs.app\n"
        "assert 'genai_prices' not in sys.modules\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = None\n"
        "from briggs.record.prices import find_listed\n"
        f"assert find_listed({OPENAI!r}, 'gpt-4o', None, 29_000_000)\n"
        "import threading\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_S)


def test_cached_tokens_in_other_words() -> None:
    """Cached tokens have their own price, whatever the vendor calls them."""
    # DeepSeek: 11,000 at $0.28 would be 0.00308, but these are 1,000 at that price and 10,000
    # at $0.028.
    price = PriceSettings(input=0.28, cached_input=0.028, output=0.42)
    prices = open_prices(Vendor("mine", DEEPSEEK), **{"mine/m": price})
    for word in ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"):
        usage = {"prompt_tokens": 11_000, "completion_tokens": 0, "total_tokens": 11_000}
        answer = create_response(usage={**usage, word: 10_000}, model="m")
        asked = Asked(completion_id="ours", model="m")
        facts = conform_response(json.dumps(answer).encode(), asked=asked).facts
        completion = create_completion(response_model="m")
        prices.price(completion, facts, tier=None)
        assert completion.cost_usd == pytest.approx(0.00056)


def test_cost_that_the_provider_tells() -> None:
    """A provider's own cost overrides the list but not the file, and its source is recorded."""
    own = PriceSettings(input=1, output=1)
    prices = open_prices(Vendor("mine", OPENAI), **{"mine/own": own})
    for model, cost, source in (("gpt-4o", 0.5, "provider"), ("own", 0.0011, "briggs.toml")):
        completion = create_completion(asked=model, response_model=model)
        prices.price(completion, count(1000, 100, cost_usd=0.5), tier=None)
        assert (completion.cost_usd, completion.price_source) == (cost, source)
    uncounted = create_completion(response_model="gpt-4o")
    prices.price(uncounted, Facts(cost_usd=0.25), tier=None)
    assert (uncounted.cost_usd, uncounted.price_source) == (0.25, "provider")
    assert uncounted.usage_source is None
    assert prices.spent["mine", "gpt-4o"].cost_usd == 0.75


@pytest.mark.parametrize(
    "facts",
    [
        count(2**63, 1),
        count(1, 2**63),
        count(-1, 1),
        count(10, 5, cached_tokens=-5),
        count(10, 5, cached_tokens=2**70),
    ],
)
def test_counts_that_nobody_believes(facts: Facts) -> None:
    """Counts below 0, or larger than any call can have, give no cost."""
    price = find_listed(DEEPSEEK, "deepseek-chat", None, minute("2026-11-01"))
    own = Prices({"a/b": PriceSettings(input=1, cached_input=1, reasoning=1, output=1)})._own
    for each in (price, own["a/b"]):
        assert each is not None
        assert calculate(each, facts) is None


def counts_and_ends(handler: Any, seen: Any) -> None:
    """Streams chunks with the usage so far, and breaks off in the middle."""
    chunk = json.loads(create_chunk({"role": "assistant", "content": "a"}).removeprefix(b"data: "))
    handler.begin_stream()
    for written in (1, 2):
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": written,
            "total_tokens": 100 + written,
            "prompt_tokens_details": {"cache_write_tokens": 40, "audio_tokens": 0},
        }
        handler.write_piece(b"data: " + json.dumps({**chunk, "usage": usage}).encode() + b"\n\n")
    handler.write_piece(b"")


def cuts_a_message(handler: Any, seen: Any) -> None:
    """Streams in Anthropic's format, and breaks off after the first word."""
    usage: dict[str, Any] = {
        "input_tokens": 10,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 60,
        "cache_creation": {"ephemeral_1h_input_tokens": 50, "ephemeral_5m_input_tokens": 10},
        "output_tokens": 1,
    }
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant"}
    message |= {"model": "claude-sonnet-4-5", "content": [], "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
    ]
    handler.begin_stream()
    for event in events:
        handler.write_piece(b"data: " + json.dumps(event).encode() + b"\n\n")
    handler.write_piece(b"")


def tells_cost(handler: Any, seen: Any) -> None:
    """Answers like OpenRouter, whole and streamed, with the cost of the call."""
    usage = {**create_response()["usage"], "cost": 0.95, "cost_details": {}}
    if not seen.json.get("stream"):
        handler.send_whole(200, json.dumps(create_response(usage=usage)).encode())
        return
    chunk = json.loads(create_chunk({}).removeprefix(b"data: "))
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "a"}))
    handler.write_piece(create_chunk({}, finish_reason="stop"))
    handler.write_piece(
        b"data: " + json.dumps({**chunk, "choices": [], "usage": usage}).encode() + b"\n\n"
    )
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def tells_cost_in_header(handler: Any, seen: Any) -> None:
    """Answers like LiteLLM's proxy, with the cost in a header."""
    cost = {"x-litellm-response-cost": seen.json["messages"][0]["content"]}
    handler.send_whole(200, json.dumps(create_response()).encode(), cost)


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    behaviours = (ok, counts_and_ends, cuts_a_message, tells_cost, tells_cost_in_header)
    upstream = Upstream({behave.__name__: behave for behave in behaviours})
    config = f"""
{upstream.config()}
[providers.claude]
kind = "anthropic"
base_url = "http://127.0.0.1:{upstream.port}/cuts_a_message/v1"
[prices."claude/claude-sonnet-4-5"]
input = 3
cached_input = 0.3
cache_write = 3.75
cache_write_1h = 6
output = 15
[prices."ok/m-1"]
input = 10
output = 20
[prices."counts_and_ends/m-1"]
input = 10
cache_write = 30
output = 20
"""
    with run_server(tmp_path_factory.mktemp("priced") / "data", config=config) as running:
        yield running
    upstream.close()


@pytest.mark.parametrize("stream", [False, True])
def test_cost_on_the_record(priced: Server, stream: bool) -> None:
    """An answer's cost and its source are in the record, and its cost is in /metrics."""
    before = _read_metric(priced, "briggs_cost_usd_total")
    reply = priced.chat({"model": "ok/m-1", "messages": MESSAGES, "stream": stream})
    details = priced.find(reply)["briggs"]
    usage = create_response()["usage"]
    cost = (usage["prompt_tokens"] * 10 + usage["completion_tokens"] * 20) / 1_000_000
    assert details["cost_usd"] == pytest.approx(cost)
    assert (details["price_source"], details["usage_source"]) == ("briggs.toml", "provider")
    assert _read_metric(priced, "briggs_cost_usd_total") - before == pytest.approx(cost)


@pytest.mark.parametrize("stream", [False, True])
def test_told_cost_on_the_record(priced: Server, stream: bool) -> None:
    """A cost that the provider reports is recorded, with the provider as its source."""
    reply = priced.chat({"model": "tells_cost/m-1", "messages": MESSAGES, "stream": stream})
    details = priced.find(reply)["briggs"]
    assert (details["cost_usd"], details["price_source"]) == (0.95, "provider")
    assert details["fixes"] == []


@pytest.mark.parametrize(
    ("told", "cost", "source"),
    [("1.5e-05", 1.5e-05, "provider"), ("0.0", None, None), ("None", None, None)],
)
def test_told_cost_in_a_header(
    priced: Server, told: str, cost: float | None, source: str | None
) -> None:
    """A cost in LiteLLM's header is recorded too, except 0, which may mean an unknown price."""
    messages = [{"role": "user", "content": told}]
    reply = priced.chat({"model": "tells_cost_in_header/m-1", "messages": messages})
    details = priced.find(reply)["briggs"]
    assert (details["cost_usd"], details["price_source"]) == (cost, source)


@pytest.mark.parametrize(
    ("model", "tokens", "cost"),
    [
        # 60 at $10, 40 at $30, 2 at $20.
        ("counts_and_ends/m-1", (100, 2, 40), 0.00184),
        # 10 at $3, 30 at $0.30, 10 at $3.75, 50 at $6, 1 at $15.
        ("claude/claude-sonnet-4-5", (100, 1, 60), 0.0003915),
    ],
)
def test_stream_that_ended_early(
    priced: Server, model: str, tokens: tuple[int, int, int], cost: float
) -> None:
    """The usage of a stream before it broke off is recorded and priced."""
    reply = priced.chat({"model": model, "messages": MESSAGES, "stream": True})
    details = priced.find(reply)["briggs"]
    assert (details["status"], details["usage_source"]) == ("failed", "provider")
    names = ("prompt_tokens", "completion_tokens", "cache_write_tokens")
    assert tuple(details[name] for name in names) == tokens
    assert details["cost_usd"] == cost


def _read_metric(server: Server, name: str) -> float:
    lines = server.send("GET", "/metrics").body.decode().splitlines()
    series = f'{name}{{model="m-1",provider="ok"}} '
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))
