"""What a program with OpenAI's package does; run by each major version of it in turn."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import openai

MODEL = "local/briggs-tiny"
MESSAGES: Any = [{"role": "user", "content": "What is 12 + 34?"}]
URL, KEY = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]


def check(fact: bool, what: str) -> None:
    if not fact:
        sys.exit(f"openai {openai.__version__}: {what}")


def call(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, temperature=0, logprobs=True, top_logprobs=2
    )
    said = answer.choices[0].message.content
    logprobs = answer.choices[0].logprobs
    check(bool(said), "an answer has content")
    check(logprobs is not None and bool(logprobs.content), "an answer has logprobs")
    check(answer.usage is not None and answer.usage.total_tokens > 0, "an answer has usage")

    streamed, usage = "", None
    for chunk in client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ):
        for choice in chunk.choices:
            streamed += choice.delta.content or ""
        usage = chunk.usage or usage
    check(streamed == said, "a stream spells what the whole answer says")
    check(usage is not None, "a stream ends with its usage")

    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    check(raw.headers["x-briggs-completion-id"] == raw.headers["x-request-id"], "an id is sent")
    check(MODEL in [model.id for model in client.models.list()], "the model is listed")


def refuse(client: openai.OpenAI) -> None:
    try:
        client.chat.completions.create(model="local/nobody", messages=MESSAGES)
    except openai.NotFoundError as error:
        check(error.code == "model_not_found", "an unknown model has its code")
    else:
        check(False, "an unknown model is refused")
    try:
        openai.OpenAI(base_url=URL, api_key="wrong").models.list()
    except openai.AuthenticationError:
        return
    check(False, "a wrong key is refused")


def read_record(client: openai.OpenAI) -> None:
    if not hasattr(client.chat.completions, "list"):
        return
    stored = [one.id for one in client.chat.completions.list(limit=1)]
    check(len(stored) >= 3, "every call is listed")
    check(client.chat.completions.retrieve(stored[0]).id == stored[0], "a call is retrieved")


async def call_at_once() -> None:
    async with openai.AsyncOpenAI() as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0)
                for _ in range(8)
            )
        )
    said = {answer.choices[0].message.content for answer in answers}
    check(len(said) == 1, "concurrent calls get the same answer to the same question")


if __name__ == "__main__":
    with openai.OpenAI() as synchronous:
        call(synchronous)
        refuse(synchronous)
        read_record(synchronous)
    asyncio.run(call_at_once())
