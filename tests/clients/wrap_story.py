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
        other = client.with_options(timeout=120)
        other.chat.completions.create(model="copy", messages=MESSAGES)
        call_by_copies(client)
        call_by_helpers(client)
        call_responses(client)
        left = client.chat.completions.create(model="left", messages=MESSAGES, stream=True)
        next(iter(left))
        left.close()


def call_by_copies(client: openai.OpenAI) -> None:
    """A copy is recorded with an HTTP client of its own, and so is a copy of that."""
    own = client.with_options(http_client=openai.DefaultHttpxClient())
    own.chat.completions.create(model="own-http", messages=MESSAGES)
    again = own.copy(http_client=openai.DefaultHttpxClient(), max_retries=0)
    again.chat.completions.create(model="own-http-again", messages=MESSAGES)
    check(again.max_retries == 0, "a copy has its options")
    for each in (own, again):
        each.close()


def call_by_helpers(client: openai.OpenAI) -> None:
    """What the package wraps around a call changes nothing of the record."""
    complete = client.chat.completions
    with complete.with_streaming_response.create(model="read", messages=MESSAGES) as read:
        check("Hello" in read.read().decode(), "a streamed body is read")
    with complete.with_streaming_response.create(
        model="lines", messages=MESSAGES, stream=True
    ) as lines:
        check(len(list(lines.iter_lines())) > 3, "a stream is read by its lines")
    parsed = complete.parse(model="parsed", messages=MESSAGES)
    check(parsed.choices[0].message.content == "Hello", "an answer is parsed")
    with complete.stream(model="helper", messages=MESSAGES) as stream:
        said = stream.get_final_completion().choices[0].message.content
        check(said == "Hello", "the helper of streams gets the answer")


def call_responses(client: openai.OpenAI) -> None:
    """Responses are recorded too: whole, streamed, and left before the end."""
    whole = client.responses.create(model="response", input="one two")
    check(whole.output_text == "Hello", "a response says what it said")
    events = list(client.responses.create(model="response-stream", input="one two", stream=True))
    check(events[-1].type == "response.completed", "a stream of events has its end")
    left = client.responses.create(model="response-left", input="one two", stream=True)
    next(iter(left))
    left.close()


async def call_async_responses(client: openai.AsyncOpenAI) -> None:
    """The same without blocking."""
    whole = await client.responses.create(model="async-response", input="one two")
    check(whole.output_text == "Hello", "a response says what it said")
    asked: Any = {"model": "async-response-stream", "input": "one two", "stream": True}
    events = [event async for event in await client.responses.create(**asked)]
    check(events[-1].type == "response.completed", "a stream of events has its end")


async def call_by_async_helpers(client: openai.AsyncOpenAI) -> None:
    """The same without blocking."""
    own = client.with_options(http_client=openai.DefaultAsyncHttpxClient())
    async with own:
        complete = own.chat.completions
        await complete.create(model="async-own-http", messages=MESSAGES)
        raw = await complete.with_raw_response.create(model="async-raw", messages=MESSAGES)
        check(raw.parse().choices[0].message.content == "Hello", "a raw response parses")
        async with complete.with_streaming_response.create(
            model="async-read", messages=MESSAGES
        ) as read:
            check(b"Hello" in await read.read(), "a streamed body is read")
        await complete.parse(model="async-parsed", messages=MESSAGES)
        async with complete.stream(model="async-helper", messages=MESSAGES) as stream:
            await stream.get_final_completion()


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
        async with briggs.session("story"):
            await call_by_async_helpers(client)
            await call_async_responses(client)


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
