"""What a program does that wraps its OpenAI client; run by each major version of the package.

    python wrap_story.py UPSTREAM

The upstream is not Briggs; the records go where BRIGGS_URL says.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai

import briggs

MESSAGES: Any = [{"role": "user", "content": "one two"}]
TOOLS: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def check(fact: bool, what: str) -> None:
    if not fact:
        sys.exit(f"openai {openai.__version__}: {what}")


def call(client: openai.OpenAI) -> None:
    with briggs.session("story", tags=[openai.__version__]):
        whole = client.chat.completions.create(model="whole", messages=MESSAGES, tools=TOOLS)
        check(type(whole).__name__ == "ChatCompletion", "an answer keeps its type")
        stream = client.chat.completions.create(model="stream", messages=MESSAGES, stream=True)
        check(isinstance(stream, openai.Stream), "a stream stays a stream")
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        check(said == "Hello", "a stream says what it said")
        raw = client.chat.completions.with_raw_response.create(model="raw", messages=MESSAGES)
        check(raw.parse().id == whole.id, "a raw response parses")
        other = client.with_options(timeout=30)
        other.chat.completions.create(model="copy", messages=MESSAGES)
        left = client.chat.completions.create(model="left", messages=MESSAGES, stream=True)
        next(iter(left))
        left.close()


async def call_at_once(url: str) -> None:
    async with briggs.wrap(openai.AsyncOpenAI(base_url=f"{url}/openai/v1", api_key="k")) as client:

        async def ask(number: int) -> None:
            async with briggs.session("story", tags=[f"task-{number}"]):
                answer = await client.chat.completions.create(
                    model=f"async-{number}", messages=MESSAGES, stream=True
                )
                check(isinstance(answer, openai.AsyncStream), "an async stream stays one")
                said = [chunk.choices[0].delta.content or "" async for chunk in answer]
                check("".join(said) == "Hello", "an async stream says what it said")

        await asyncio.gather(*(ask(number) for number in range(4)))


def refuse(url: str) -> None:
    with briggs.wrap(openai.OpenAI(base_url=f"{url}/refuses/v1", api_key="k")) as client:
        try:
            with briggs.session("story"):
                client.chat.completions.create(model="refused", messages=MESSAGES)
        except openai.BadRequestError as error:
            check("no, thank you" in str(error), "an error keeps its words")
            return
    check(False, "an error stays an error")


if __name__ == "__main__":
    upstream = sys.argv[1]
    with briggs.wrap(openai.OpenAI(base_url=f"{upstream}/openai/v1", api_key="k")) as synchronous:
        call(synchronous)
    asyncio.run(call_at_once(upstream))
    refuse(upstream)
