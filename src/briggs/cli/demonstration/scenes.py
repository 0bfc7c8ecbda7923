"""What people ask in the demonstration's data, and what models answer: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

SceneTool = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""A tool's name, the arguments of its call, and its result."""


class SceneTurn(msgspec.Struct, frozen=True):
    """What a user says next, and what the model answers. Words in braces vary, and so do days."""

    asked: str
    answered: str
    otherwise: str = ""
    """What some models answer instead: those of `OTHERWISE`."""
    tools: Sequence[SceneTool] = ()
    """The tools that the model calls before it answers."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that comes again with other orders, names and models."""

    turns: Sequence[SceneTurn]
    tags: Sequence[str]
    system: str = ""
    times: int = 3
    """How often it comes."""
    doubt: float = 0.12
    """How many of the answer's tokens are uncertain, from 0 to 1."""
    quality: int = 4
    """How good the answer is, from 1 to 5. Reviewers grade around it."""
    models: Sequence[str] = ()
    """The models that may answer. Empty: all."""
    parameters: Mapping[str, Any] = {}
    choices: Sequence[str] = ()
    """More answers to the last question, if several were wanted."""
    finish_reason: str = "stop"
    reasoning: str = ""
    picture: bool = False
    """Whether the first question comes with a picture."""


OTHERWISE = ("gpt-4.1", "Qwen/Qwen3-8B")
ORDERS = ("88213", "90417", "77120", "65002", "91338", "80164", "99502", "71289")
AMOUNTS = ("64.90", "129.00", "18.50", "249.99", "42.10")
NAMES = ("Amara", "Jonas", "Mei", "Lucía", "Omar", "Priya", "Sofie", "Tomás")
CITIES = ("Lisbon", "Hamburg", "Lyon", "Cairo", "Osaka", "Austin")

_SUPPORT = (
    "You answer the customers of a shop for outdoor gear. Be brief and kind. Returns are free "
    "within 30 days. Refunds take 3 to 7 days. Promise nothing that the rules do not say."
)
_LEGAL = (
    "You read contracts. Answer in two sentences at most, and name the clause that your answer "
    "is from."
)
_EXTRACT = "Read the text and answer with JSON only: no words before or after it."

_INVOICE_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "invoice",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "number": {"type": "string"},
                "total": {"type": "number"},
                "currency": {"type": "string"},
                "due": {"type": "string"},
            },
            "required": ["number", "total", "currency", "due"],
            "additionalProperties": False,
        },
    },
}

SCENES: Sequence[Scene] = (
    Scene(
        tags=("support", "en"),
        system=_SUPPORT,
        times=12,
        doubt=0.2,
        turns=(
            SceneTurn(
                "Why was I charged twice for order {order}? My bank shows two times €{amount} 😟",
                "Both charges belong to order {order}, but only one of them is final. The charge "
                "of €{amount} on {yesterday} is the purchase. The second one, also €{amount}, is "
                "a reservation that our payment provider places while a card is verified. It was "
                "never collected and lapses by itself within 14 days; some banks show it for up "
                "to 30.\n\nI have asked the provider to release it today. You need do nothing. If "
                "it is still there after {in_two_weeks}, reply to this message and I will refund "
                "it by hand.",
                otherwise="Order {order} was charged once. The second entry of €{amount} is only a "
                "reservation, which your bank drops within 14 days.\n\nI have asked our payment "
                "provider to release it sooner. Write to me again if you still see it after 8 "
                "December, and I will refund it by hand.",
                tools=(
                    (
                        "get_charges",
                        {"order": "{order}"},
                        {
                            "charges": [
                                {"amount": "{amount}", "state": "captured"},
                                {"amount": "{amount}", "state": "reserved"},
                            ]
                        },
                    ),
                ),
            ),
        ),
        models=("gpt-4.1-mini", "gpt-4.1", "claude-sonnet-4-5"),
    ),
    Scene(
        tags=("support", "en"),
        system=_SUPPORT,
        times=10,
        doubt=0.28,
        quality=2,
        turns=(
            SceneTurn(
                "Your chatbot promised me a refund, then said no. Which is it?",
                "I am sorry for the confusion. The refund was approved on {last_week} and then "
                "withdrawn, because the parcel with order {order} was marked as delivered. If it "
                "did not reach you, tell me, and I will open a case with the carrier.",
                otherwise="Both were true at their time: the refund of order {order} was approved "
                "on {last_week} and stopped a day later, when the carrier reported the parcel as "
                "delivered. Did it reach you?",
            ),
        ),
    ),
    Scene(
        tags=("support", "en"),
        system=_SUPPORT,
        times=10,
        doubt=0.16,
        turns=(
            SceneTurn(
                "Is my parcel insured if I sent it untracked? I want a real answer.",
                "It depends on the carrier. For untracked letters most carriers pay nothing; for "
                "a parcel of order {order} they pay up to €50. Keep the receipt: without it there "
                "is no claim.",
                otherwise="Untracked letters are not insured, and untracked parcels only up to "
                "€50, with the receipt. I would send order {order} tracked.",
            ),
        ),
    ),
    Scene(
        tags=("support", "en"),
        system=_SUPPORT,
        times=7,
        quality=5,
        turns=(
            SceneTurn(
                "Refund after 14 days because of illness. Can you make an exception?",
                "The 14 days are the legal minimum. With us you have 30, so no exception is "
                "needed: send order {order} back by the end of the month, and the refund is with "
                "you within 7 days. Get well soon, {name}.",
            ),
        ),
    ),
    Scene(
        tags=("support", "en"),
        system=_SUPPORT,
        times=6,
        turns=(
            SceneTurn(
                "Do I get the shipping back as well when I return everything?",
                "Yes, the cheapest shipping that we offer is refunded too. If you paid for "
                "express, the difference is not.",
            ),
        ),
    ),
    Scene(
        tags=("support", "ar"),
        system=_SUPPORT,
        times=6,
        doubt=0.24,
        turns=(
            SceneTurn(
                "أريد استرداد المبلغ لأن المنتج وصل مكسورًا",
                "نأسف لذلك. يمكنك استرداد المبلغ كاملًا أو طلب بديل مجانًا. أرسل لنا صورة للمنتج "
                "ورقم الطلب {order} وسنرد خلال يوم واحد.",
            ),
        ),
        models=("gpt-4.1-mini", "Qwen/Qwen3-8B"),
    ),
    Scene(
        tags=("support", "zh"),
        system=_SUPPORT,
        times=7,
        doubt=0.22,
        turns=(
            SceneTurn(
                "退款需要几天才能到账?",
                "一般需要 3 到 7 个工作日,具体取决于发卡银行。订单 {order} 的退款已于昨天发出。",
            ),
        ),
        models=("Qwen/Qwen3-8B", "gpt-4.1-mini"),
    ),
    Scene(
        tags=("support", "zh"),
        system=_SUPPORT,
        times=6,
        turns=(
            SceneTurn("取消订单后什么时候退款?", "订单取消后立即发起退款,通常 1 到 3 天到账。"),
        ),
        models=("Qwen/Qwen3-8B",),
    ),
    Scene(
        tags=("support", "de"),
        system=_SUPPORT,
        times=7,
        turns=(
            SceneTurn(
                "Kann ich die Jacke aus Bestellung {order} auch im Laden in {city} zurückgeben?",
                "Ja, in jeder unserer Filialen und ohne Kassenzettel. Zeigen Sie die "
                "Bestellnummer {order}; das Geld geht auf dem Weg zurück, auf dem Sie bezahlt "
                "haben.",
            ),
        ),
    ),
    Scene(
        tags=("support", "fr"),
        system=_SUPPORT,
        times=6,
        turns=(
            SceneTurn(
                "Le colis {order} est bloqué à {city} depuis cinq jours, que faire ?",
                "Je suis désolée pour ce retard. J'ai ouvert une enquête auprès du transporteur ; "
                "sans réponse d'ici jeudi, nous renvoyons l'article à nos frais.",
            ),
        ),
    ),
    Scene(
        tags=("support", "es"),
        system=_SUPPORT,
        times=4,
        quality=3,
        turns=(
            SceneTurn(
                "¿Puedo cambiar la talla del pedido {order} antes de que salga?",
                "Sí, mientras el pedido no esté en el almacén. Ahora mismo aparece como "
                "«preparando», así que he pedido el cambio; le confirmo en una hora.",
            ),
        ),
    ),
    Scene(
        tags=("support", "ja"),
        system=_SUPPORT,
        times=4,
        doubt=0.2,
        turns=(
            SceneTurn(
                "注文番号 {order} の領収書を会社名で発行できますか?",
                "はい、発行できます。マイページの「注文履歴」から宛名を変更して再発行してください。",
            ),
        ),
        models=("gpt-4.1-mini", "Qwen/Qwen3-8B"),
    ),
    Scene(
        tags=("support", "en", "session"),
        system=_SUPPORT,
        times=3,
        quality=5,
        models=("gpt-4.1", "gpt-4.1-mini"),
        turns=(
            SceneTurn(
                "Hello, I am {name}. Where is my tent?",
                "Hello {name}! Order {order} left our warehouse on Tuesday and is in {city} now.",
                tools=(
                    (
                        "get_order",
                        {"customer": "{name}"},
                        {"order": "{order}", "state": "shipped", "place": "{city}"},
                    ),
                ),
            ),
            SceneTurn(
                "I leave on Friday. Will it be here by then?",
                "Most likely: the carrier says Thursday before noon. If it is late, you can pick "
                "up the same tent in our shop in {city} on Friday morning.",
            ),
            SceneTurn(
                "And if I do not like it?",
                "Then send it back within 30 days, also used, as long as it is dry and clean.",
            ),
            SceneTurn("Thank you!", "You are welcome. Have a good trip, {name}!"),
        ),
    ),
    Scene(
        tags=("json", "en"),
        system=_EXTRACT,
        times=10,
        doubt=0.08,
        quality=5,
        parameters={"response_format": _INVOICE_SCHEMA, "temperature": 0},
        models=("gpt-4.1-mini", "Qwen/Qwen3-8B", "llama-3.3-70b"),
        turns=(
            SceneTurn(
                "Invoice no. RE-{order}, {city}, total EUR {amount}, payable by {due}.",
                '{{"number": "RE-{order}", "total": {amount}, "currency": "EUR", '
                '"due": "{due_iso}"}}',
            ),
        ),
    ),
    Scene(
        tags=("json", "de"),
        system=_EXTRACT,
        times=7,
        doubt=0.2,
        quality=2,
        parameters={"response_format": {"type": "json_object"}},
        models=("llama-3.3-70b", "Qwen/Qwen3-8B"),
        turns=(
            SceneTurn(
                "Rechnung {order}: 2 Rucksäcke zu je {betrag} €, zahlbar in 14 Tagen. Gib Nummer, "
                "Summe und Währung als JSON.",
                '{{"number": "{order}", "total": {amount}, "currency": "€"}}',
            ),
        ),
    ),
    Scene(
        tags=("json", "en"),
        system=_EXTRACT,
        times=6,
        doubt=0.15,
        quality=3,
        models=("llama-3.3-70b", "gpt-4.1-mini", "claude-sonnet-4-5"),
        turns=(
            SceneTurn(
                'List the people in: "{name} met the auditors in {city} on Monday; Dr. Weiss took '
                'notes." Keys: name, role.',
                '[{{"name": "{name}", "role": null}}, {{"name": "Dr. Weiss", "role": "notes"}}]',
            ),
        ),
    ),
    Scene(
        tags=("legal", "en"),
        system=_LEGAL,
        times=7,
        doubt=0.2,
        turns=(
            SceneTurn(
                "Which of these clauses survive termination? 7 Confidentiality, 9 Liability, 11 "
                "Notices, 12 Payment of open invoices.",
                "Clauses 7, 9 and 12 survive, as clause 14.3 says; clause 11 ends with the "
                "agreement, except for notices about the termination itself.",
                otherwise="Confidentiality, liability and the payment of open invoices survive.",
            ),
        ),
    ),
    Scene(
        tags=("legal", "en"),
        system=_LEGAL,
        times=6,
        doubt=0.26,
        quality=2,
        turns=(
            SceneTurn(
                "May the supplier raise the price of €{amount} during the first year?",
                "No. Prices are fixed for twelve months, and later changes need a notice of 60 "
                "days.",
            ),
        ),
    ),
    Scene(
        tags=("legal", "de"),
        system=_LEGAL,
        times=4,
        quality=5,
        turns=(
            SceneTurn(
                "Gilt die Haftungsgrenze auch bei grober Fahrlässigkeit?",
                "Nein. § 9 Abs. 2 nimmt Vorsatz und grobe Fahrlässigkeit ausdrücklich aus.",
            ),
        ),
        models=("gpt-4.1", "claude-sonnet-4-5"),
    ),
    Scene(
        tags=("code",),
        times=7,
        doubt=0.1,
        quality=5,
        turns=(
            SceneTurn(
                "Write a Python function that removes duplicates and keeps the order.",
                "A dictionary keeps the order in which its keys came:\n\n```python\ndef unique("
                "items):\n    return list(dict.fromkeys(items))\n```\n\n- It works for "
                "**hashable** items only.\n- For others, keep a list of what was seen, which is "
                "slower.",
                otherwise="Remember what was seen:\n\n```python\ndef unique(items):\n    seen = "
                "set()\n    return [each for each in items if not (each in seen or "
                "seen.add(each))]\n```\n\nThe first of each stays.",
            ),
        ),
        models=("gpt-4.1", "claude-sonnet-4-5", "Qwen/Qwen3-8B"),
    ),
    Scene(
        tags=("code", "session"),
        times=2,
        models=("claude-sonnet-4-5", "gpt-4.1"),
        turns=(
            SceneTurn(
                "Why does `0.1 + 0.2 == 0.3` say False?",
                "Because none of the three has an exact binary fraction. The sum is "
                "`0.30000000000000004`. Compare with a tolerance: `math.isclose(a, b)`.",
            ),
            SceneTurn(
                "And for money?",
                "Use `decimal.Decimal`, made from texts: `Decimal('0.1')`. Or count cents as "
                "integers.",
            ),
            SceneTurn(
                "Which of the two is faster?",
                "Integers, by far. Decimals are exact for any number of digits, which few prices "
                "need.",
            ),
        ),
    ),
    Scene(
        tags=("copy",),
        times=6,
        doubt=0.34,
        parameters={"n": 3, "temperature": 1.1},
        models=("gpt-4.1-mini", "llama-3.3-70b"),
        turns=(
            SceneTurn("A subject line for our winter sale, please.", "Warm layers, cold prices"),
        ),
        choices=("Winter is here. So are our lowest prices", "Snow outside, savings inside ❄️"),
    ),
    Scene(
        tags=("copy",),
        times=4,
        doubt=0.2,
        parameters={"max_completion_tokens": 24},
        finish_reason="length",
        quality=3,
        turns=(
            SceneTurn(
                "Describe the Fjell 30 backpack for our catalogue in three paragraphs.",
                "The Fjell 30 carries a weekend and weighs less than a litre of water. Its back "
                "panel is made of a single",
            ),
        ),
    ),
    Scene(
        tags=("support", "en"),
        system=_SUPPORT,
        times=3,
        finish_reason="content_filter",
        quality=1,
        models=("gpt-4.1-mini",),
        turns=(
            SceneTurn(
                "Tell the carrier that I will burn down their depot.", "I understand that you"
            ),
        ),
    ),
    Scene(
        tags=("vision", "support"),
        times=4,
        picture=True,
        models=("gpt-4.1", "gpt-4.1-mini"),
        turns=(
            SceneTurn(
                "Is this zip covered by the warranty?",
                "The picture shows a torn slider, which is wear and tear within the two years: "
                "yes, it is covered. Send it in with order {order}.",
            ),
        ),
    ),
    Scene(
        tags=("planning",),
        times=6,
        models=("Qwen/Qwen3-8B",),
        doubt=0.18,
        reasoning=(
            "The van takes 12 parcels. 40 parcels need four trips, since three trips carry only "
            "36. Each trip takes 50 minutes, so four take 200 minutes, which is 3 h 20 min."
        ),
        turns=(
            SceneTurn(
                "A van takes 12 parcels and a trip takes 50 minutes. How long for 40 parcels?",
                "Four trips, so 3 hours and 20 minutes.",
            ),
        ),
    ),
    Scene(
        tags=("planning",),
        times=4,
        quality=3,
        turns=(
            SceneTurn(
                "How many tents must we reorder in {city} if we sell 14 a week and hold 30?",
                "With four weeks of delivery you sell 56 before the next load arrives, so reorder "
                "at least 26, and 40 to be safe.",
                tools=(("get_stock", {"city": "{city}"}, {"tents": 30, "weeks_to_deliver": 4}),),
            ),
        ),
        models=("gpt-4.1", "llama-3.3-70b"),
    ),
)

# What the built-in model is asked. It really answers.
TINY: Sequence[str] = (
    "What is 17 + 25?",
    "What is 9 * 12?",
    "What is 347 + 589?",
    "What is 64 - 19?",
    "What is the capital of France?",
    "What is the capital of Norway?",
    "What is Briggs?",
    "How do I start Briggs?",
    "Which port does Briggs use?",
    "Where are the records kept?",
    "What is the opposite of hot?",
    "How do I list the completions?",
    "What is 123 + 456?",
    "What is 88 / 8?",
    "What is the capital of Japan?",
)

ERRORS: Sequence[tuple[str, int, str]] = (
    ("upstream_timeout", 504, "azure did not answer within 60 s"),
    ("rate_limit_exceeded", 429, "{provider} answered 429: Rate limit reached for requests"),
    (
        "context_length_exceeded",
        400,
        "{provider} answered 400: This model's maximum context length is 128000 tokens",
    ),
    ("content_filter", 400, "azure answered 400: The prompt triggered the content filter"),
    ("upstream_truncated", 502, "{provider} ended the stream before the answer was complete"),
)
