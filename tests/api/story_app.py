"""An app whose calls come to be on record by three ways; it prints what it heard, and ends.

Through the gateway, with a wrapped client of OpenAI's package that asks somebody else, and by the
posts of Log10's clients.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
import uuid
from typing import Any

import openai

import briggs

SERVER, KEY, UPSTREAM = (
    os.environ[name] for name in ("BRIGGS_URL", "BRIGGS_API_KEY", "UPSTREAM_URL")
)


def main(calls: int) -> None:
    """One call after the other; the three ways and the tags alternate."""
    # The program ends as soon as it has called, so what is logged must not get lost then.
    gateway = openai.OpenAI(base_url=f"{SERVER}/v1", api_key=KEY)
    wrapped = briggs.wrap(openai.OpenAI(base_url=UPSTREAM, api_key="upstream's"))
    heard = {}
    for number in range(calls):
        tags = ["story", *(["to-grade"] if number % 5 < 3 else [])]
        ask = (ask_gateway, ask_wrapped, ask_as_log10)[number % 3]
        heard[number] = ask(
            gateway if ask is ask_gateway else wrapped, f"question {number}", tags=tags
        )
    json.dump(heard, sys.stdout)


def ask_gateway(client: openai.OpenAI, question: str, *, tags: list[str]) -> str | None:
    """The call is answered and recorded by Briggs."""
    answer = client.chat.completions.create(
        model="story/m-1",
        messages=[{"role": "user", "content": question}],
        extra_headers={"x-briggs-tags": ",".join(tags)},
    )
    return answer.choices[0].message.content


def ask_wrapped(client: openai.OpenAI, question: str, *, tags: list[str]) -> str | None:
    """The call goes past Briggs, every second one streamed, and is told of afterwards."""
    with briggs.tags(*tags):
        if int(question.split()[1]) % 2:
            chunks = client.chat.completions.create(
                model="m-1", messages=[{"role": "user", "content": question}], stream=True
            )
            deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
            return "".join(delta or "" for delta in deltas)
        answer = client.chat.completions.create(
            model="m-1", messages=[{"role": "user", "content": question}]
        )
        return answer.choices[0].message.content


def ask_as_log10(client: openai.OpenAI, question: str, *, tags: list[str]) -> str:
    """What Log10's client tells: when the call begins, and, as JSON texts, when it has ended."""
    id = str(uuid.uuid4())
    request = {"model": "m-1", "messages": [{"role": "user", "content": question}]}
    said = {"role": "assistant", "content": question}
    choice = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}
    response = {"id": f"chatcmpl-{id}", "object": "chat.completion", "created": 1, "model": "m-1"}
    row = {"status": "started", "kind": "chat", "request": json.dumps(request), "tags": tags}
    post(f"/api/completions/{id}", row)
    answered = json.dumps({**response, "choices": [choice]})
    post(f"/api/completions/{id}", {**row, "status": "finished", "response": answered})
    return question


def post(path: str, body: dict[str, Any]) -> None:
    """One post, as the clients of that time send it."""
    request = urllib.request.Request(
        SERVER + path,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "x-log10-token": KEY},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


if __name__ == "__main__":
    main(int(sys.argv[1]))
