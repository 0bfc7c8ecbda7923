"""What a program with Ollama's package and with LangChain's does, by their defaults.

    OLLAMA_HOST=... OLLAMA_API_KEY=... python ollama_story.py MODEL CALLING

MODEL answers with text, and CALLING with a call of a tool, and with text to its result.
"""

from __future__ import annotations

import asyncio
import os
import sys

import ollama
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM

MODEL, CALLING = sys.argv[1:]
QUESTION = "What is 17 + 25?"
HEADERS = {"headers": {"authorization": f"Bearer {os.environ['OLLAMA_API_KEY']}"}}


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def ask_by_the_package() -> None:
    messages = [{"role": "user", "content": QUESTION}]
    # The host and, in newer versions, the key are in the environment.
    client = ollama.Client(**HEADERS)
    answer = client.chat(MODEL, messages)
    assert answer.message.content and answer.eval_count, answer
    parts = [*client.chat(MODEL, messages, stream=True)]
    assert parts[-1].done and not parts[0].done
    assert client.generate(MODEL, QUESTION).response
    assert client.embed(MODEL, QUESTION).embeddings
    assert MODEL in [each.model for each in client.list().models]
    asyncio.run(ask_at_once(messages))


async def ask_at_once(messages: list[dict[str, str]]) -> None:
    client = ollama.AsyncClient(**HEADERS)
    answers = await asyncio.gather(*(client.chat(MODEL, messages) for _ in range(3)))
    assert all(answer.done_reason == "stop" for answer in answers), answers


def ask_by_langchain() -> None:
    options = {"client_kwargs": HEADERS}
    chat = ChatOllama(model=MODEL, temperature=0, **options)
    answer = chat.invoke(QUESTION)
    assert answer.content, answer
    assert answer.usage_metadata["output_tokens"] > 0, answer
    assert "".join(str(chunk.content) for chunk in chat.stream(QUESTION))
    assert OllamaLLM(model=MODEL, **options).invoke(QUESTION)
    assert len(OllamaEmbeddings(model=MODEL, **options).embed_documents(["a", "b"])) == 2
    calling = ChatOllama(model=CALLING, **options).bind_tools([get_weather])
    asked = [HumanMessage("How is the weather in Oslo?")]
    called = calling.invoke(asked)
    [call] = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo"}), called
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert calling.invoke([*asked, called, result]).content == "It said: sunny in Oslo"


ask_by_the_package()
ask_by_langchain()
