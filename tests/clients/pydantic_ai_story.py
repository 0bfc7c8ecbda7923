"""What a program with pydantic-ai does: an agent, whole and streamed."""

from __future__ import annotations

import asyncio
import os
import sys

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main() -> None:
    provider = OpenAIProvider(
        base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"]
    )
    agent = Agent(
        OpenAIChatModel("local/briggs-tiny", provider=provider),
        model_settings={"temperature": 0},
    )
    whole = await agent.run("What is 12 + 34?")
    async with agent.run_stream("What is 12 + 34?") as stream:
        streamed = await stream.get_output()
    if not whole.output or whole.output != streamed:
        sys.exit(f"pydantic-ai: {whole.output!r} is not {streamed!r}")
    if whole.usage.output_tokens == 0:
        sys.exit("pydantic-ai: no usage")


asyncio.run(main())
