"""Trains the dictionary for the store's compression: `python -m models.train_dictionary FILE`.

It is trained on chat completions that are made up here, from a seed, in the forms that clients
and servers send. So it contains no text of any user. A dictionary that was trained on a record
would keep pieces of deleted completions. Unlike the plain text before it (`dictionary_1.txt`),
it also has tables of frequencies, which bodies then need not repeat.

A shipped file never changes, because bodies that were compressed with it need it.
"""

from __future__ import annotations

import json
import random
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard


def split_words(text: str) -> list[str]:
    return text.split()


BYTES = 12 * 1024
SAMPLES = 4_000
LEVEL = 3
MODELS = split_words("""
gpt-5 gpt-5-mini-2025-08-07 gpt-4o-2024-08-06 gpt-4.1-2025-04-14 o4-mini-2025-04-16
claude-sonnet-4-5-20250929 gemini-2.5-flash mistral-large-latest deepseek-chat grok-4
meta-llama/Llama-3.3-70B-Instruct Qwen/Qwen3-8B llama-3.3-70b-versatile briggs-tiny
""")
WORDS = split_words("""
the of and to a in is that it for was on are as with they be at one have this from by hot but
what some we can out other were all there when up use your how said each she which do their time
if will way about many then them write would like so these her long make thing see him two has
look more day could go come did number sound no most people my over know water than call first
who may down side been now find any new work part take get place made live where after back
little only round man year came show every good me give our under name very through just form
sentence great think say help low line differ turn cause much mean before move right boy old too
same tell does set three want air well also play small end put home read hand port large spell
add even land here must big high such follow act why ask men change went light kind off need
house picture try us again animal point mother world near build self earth father head stand own
page should country found answer school grow study still learn plant cover food sun four between
state keep eye never last let thought city tree cross farm hard start might story saw far sea
draw left late run while press close night real life few open seem together next white children
begin got walk example ease paper group always music those both mark often letter until mile
river car feet care second book carry took science eat room friend began idea fish mountain stop
once base hear horse cut sure watch color face wood main enough plain girl usual young ready
above ever red list though feel talk bird soon body dog family direct pose leave song measure
door product black short numeral class wind question happen complete ship area half rock order
fire south problem piece told knew pass since top whole king space heard best hour better true
during hundred five remember step early hold west ground interest reach fast verb sing listen
six table user system model function error data value request response return string file test
import key index item result message type code please summarize following text customer support
email
""")
ENDS = (". ", ", ", ".\n\n", ": ", "! ", "? ", " - ", ".\n- ", " (", ") ", "'s ", ' "', '" ')
TOOLS = ("get_weather", "search", "lookup_order", "create_ticket", "run_sql", "send_email")

Encode = Callable[[Any], str]
ENCODERS: tuple[Encode, ...] = (
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    lambda value: json.dumps(value, ensure_ascii=False),
    json.dumps,
    lambda value: json.dumps(value, indent=2, ensure_ascii=False),
)


def make_samples(seed: int, count: int) -> Iterator[bytes]:
    """Make bodies as the store keeps them: requests, answers, and the events of streams."""
    chance = random.Random(seed)
    makers = (make_request, make_request, make_response, make_response, make_stream)
    for _ in range(count):
        yield chance.choice(makers)(chance, chance.choice(ENCODERS)).encode()


def make_request(chance: random.Random, encode: Encode) -> str:
    messages: list[dict[str, Any]] = []
    if chance.random() < 0.7:
        messages.append({"role": "system", "content": "You are a helpful assistant."})
        messages[0]["content"] += " " + make_text(chance, 60)
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        messages.append({"role": "user", "content": make_text(chance, 80)})
        messages.append({"role": "assistant", "content": make_text(chance, 120)})
    messages.append({"role": "user", "content": make_text(chance, 120)})
    if chance.random() < 0.15:
        messages.append({"role": "assistant", "content": None, "tool_calls": [make_call(chance)]})
        messages.append(
            {"role": "tool", "tool_call_id": make_id(chance, "call_", 24), "content": "{}"}
        )
    request: dict[str, Any] = {"model": f"openai/{chance.choice(MODELS)}", "messages": messages}
    options = {
        "temperature": chance.choice((0, 0.2, 0.7, 1)),
        "max_tokens": chance.choice((100, 256, 500, 1000, 4096)),
        "max_completion_tokens": chance.choice((256, 1000, 4096)),
        "top_p": chance.choice((1, 0.9)),
        "n": 1,
        "seed": chance.randrange(100),
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 5,
        "response_format": {"type": "json_object"},
        "tools": [make_tool(chance)],
        "tool_choice": "auto",
        "metadata": {"experiment": str(chance.randrange(10))},
        "user": make_id(chance, "user-", 12),
    }
    chosen = [name for name in options if chance.random() < 0.25]
    return encode(request | {name: options[name] for name in chosen})


def make_response(chance: random.Random, encode: Encode) -> str:
    text = make_text(chance, 150)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if chance.random() < 0.7:
        message["annotations"] = []
    logprobs, reason = None, chance.choice(("stop", "stop", "stop", "length"))
    if chance.random() < 0.15:
        message |= {"content": None, "tool_calls": [make_call(chance)]}
        reason = "tool_calls"
    elif chance.random() < 0.35:
        top = chance.choice((0, 0, 2, 5))
        logprobs = {"content": make_tokens(chance, text[:200], top), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": reason}
    head = make_head(chance, "chat.completion")
    return encode(head | {"choices": [choice], "usage": make_usage(chance)} | make_tail(chance))


def make_stream(chance: random.Random, encode: Encode) -> str:
    head = make_head(chance, "chat.completion.chunk") | make_tail(chance)
    has_logprobs, is_padded = chance.random() < 0.2, chance.random() < 0.3

    def event(delta: dict[str, Any], reason: str | None, logprobs: Any = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        chunk: dict[str, Any] = head | {"choices": [choice], "usage": None}
        if is_padded:
            chunk["obfuscation"] = make_id(chance, "", chance.randrange(1, 12))
        return compact(chunk)

    compact = ENCODERS[0] if encode is ENCODERS[-1] else encode
    texts = split(make_text(chance, 40))
    events = [event({"role": "assistant", "content": "", "refusal": None}, None)]
    for text in texts:
        tokens = make_tokens(chance, text, 0) if has_logprobs else None
        logprobs = tokens and {"content": tokens, "refusal": None}
        events.append(event({"content": text}, None, logprobs))
    events.append(event({}, "stop"))
    events.append(compact(head | {"choices": [], "usage": make_usage(chance)}))
    return "".join(f"data: {each}\n\n" for each in [*events, "[DONE]"])


def make_head(chance: random.Random, kind: str) -> dict[str, Any]:
    id = make_id(chance, chance.choice(("chatcmpl-", "chatcmpl-", "gen-")), 29)
    created = chance.randrange(1_760_000_000, 1_860_000_000)
    return {"id": id, "object": kind, "created": created, "model": chance.choice(MODELS)}


def make_tail(chance: random.Random) -> dict[str, Any]:
    fingerprint = f"fp_{chance.getrandbits(40):010x}"
    tail: dict[str, Any] = {"service_tier": "default", "system_fingerprint": fingerprint}
    return {name: value for name, value in tail.items() if chance.random() < 0.7}


def make_usage(chance: random.Random) -> dict[str, Any]:
    prompt, completion = chance.randrange(8, 3000), chance.randrange(1, 800)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if chance.random() < 0.7:
        usage["prompt_tokens_details"] = {"cached_tokens": 0, "audio_tokens": 0}
        usage["completion_tokens_details"] = {
            "reasoning_tokens": chance.choice((0, 0, 64, 320)),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        }
    return usage


def make_tokens(chance: random.Random, text: str, top: int) -> list[dict[str, Any]]:
    def entry(token: str) -> dict[str, Any]:
        digits = chance.choice((4, 9, 16))
        logprob = -round(chance.expovariate(1) ** 3, digits)
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

    return [
        entry(token) | {"top_logprobs": [entry(f" {chance.choice(WORDS)}") for _ in range(top)]}
        for token in split(text)
    ]


def make_call(chance: random.Random) -> dict[str, Any]:
    arguments = json.dumps({"query": make_text(chance, 8), "limit": chance.randrange(20)})
    function = {"name": chance.choice(TOOLS), "arguments": arguments}
    return {"id": make_id(chance, "call_", 24), "type": "function", "function": function}


def make_tool(chance: random.Random) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"query": {"type": "string", "description": make_text(chance, 10)}},
        "required": ["query"],
        "additionalProperties": False,
    }
    function = {
        "name": chance.choice(TOOLS),
        "description": make_text(chance, 20),
        "parameters": schema,
    }
    return {"type": "function", "function": function}


def make_text(chance: random.Random, words_max: int) -> str:
    """A text with words as frequent as in English: about one over their rank."""
    said = []
    for _ in range(chance.randrange(2, words_max)):
        word = WORDS[int(len(WORDS) ** chance.random()) - 1]
        said.append(word.capitalize() if chance.random() < 0.1 else word)
        said.append(chance.choice(ENDS) if chance.random() < 0.15 else " ")
    return "".join(said).strip()


def split(text: str) -> list[str]:
    """Split a text into approximate tokens."""
    first, *words = text.split(" ")
    return [first, *(f" {word}" for word in words)]


def make_id(chance: random.Random, prefix: str, length: int) -> str:
    return prefix + "".join(chance.choices(string.ascii_letters + string.digits, k=length))


def main(path: Path) -> int:
    """Train the dictionary, print how well it compresses unseen bodies, and write it."""
    samples: list[Any] = list(make_samples(1, SAMPLES))
    dictionary = zstandard.train_dictionary(BYTES, samples, level=LEVEL)
    compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
    unseen = list(make_samples(2, 500))
    before, after = sum(map(len, unseen)), sum(len(compressor.compress(one)) for one in unseen)
    print(f"id {dictionary.dict_id()}: {before:,} unseen bytes compress to {after:,}")
    path.write_bytes(dictionary.as_bytes())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
