"""What one client raises on: prints a line for each base URL whose answers it cannot take."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

ASKED = "What is 17 + 25?"
WEATHER = "What is the weather in Paris and in London? Use the tool."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "Look it up.", "parameters": PARAMETERS}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]


def use_openai(url: str) -> Iterator[Callable[[], object]]:
    from openai import OpenAI

    client = OpenAI(
        base_url=url, api_key="-", max_retries=0, timeout=120, _strict_response_validation=True
    )

    def ask(text: str, **members: Any) -> Callable[[], object]:
        messages: Any = [{"role": "user", "content": text}]
        create: Any = client.chat.completions.create
        return lambda: create(model="m-1", messages=messages, **members)

    yield ask(ASKED)
    yield ask(ASKED, logprobs=True, top_logprobs=3)
    yield ask(WEATHER, tools=TOOLS)
    yield lambda: list(ask(ASKED, stream=True)())  # type: ignore[call-overload]


def use_langchain(url: str) -> Iterator[Callable[[], object]]:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m-1", base_url=url, api_key="-", max_retries=0, timeout=120)
    yield lambda: model.invoke(ASKED)
    yield lambda: model.bind_tools(TOOLS).invoke(WEATHER)
    yield lambda: list(model.stream(ASKED))


def use_pydantic_ai(url: str) -> Iterator[Callable[[], object]]:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def create_agent() -> Agent:
        client = AsyncOpenAI(base_url=url, api_key="-", max_retries=0, timeout=120)
        provider = OpenAIProvider(openai_client=client)
        return Agent(OpenAIChatModel("m-1", provider=provider), retries=0)

    async def stream() -> None:
        async with create_agent().run_stream(ASKED) as streamed:
            await streamed.get_output()

    yield lambda: asyncio.run(create_agent().run(ASKED))
    yield lambda: asyncio.run(stream())


CLIENTS = {"openai-3": use_openai, "langchain": use_langchain, "pydantic-ai": use_pydantic_ai}

for url in sys.argv[2:]:
    for call in CLIENTS[sys.argv[1]](url):
        try:
            call()
        except Exception as error:
            sys.stdout.write(f"{url} {type(error).__name__}\n")
            break
