"""What a program with LangChain does: chat models with our callback, whole, streamed, failing.

    python wrap_langchain_story.py UPSTREAM

The upstream answers as OpenAI does; other vendors' packages are played by what they make of an
answer.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

import briggs
from briggs.client.langchain import BriggsCallback

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


TOOL = {"name": "add", "description": "adds", "input_schema": {"type": "object"}}
CALL: Any = {"name": "add", "args": {"a": 1}, "id": "t", "type": "tool_call"}
# What langchain-anthropic 1.7 and langchain-google-genai 4.4 make of an answer and its request.
ANTHROPIC = AIMessage(
    [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}},
    ],
    tool_calls=[CALL],
    usage_metadata={
        "input_tokens": 9,
        "output_tokens": 2,
        "total_tokens": 11,
        "input_token_details": {"cache_read": 5, "cache_creation": 1},
    },
    response_metadata={"id": "msg_1", "model_name": "claude-1", "stop_reason": "tool_use"},
)
GEMINI = AIMessage(
    "Hello",
    usage_metadata={
        "input_tokens": 3,
        "output_tokens": 6,
        "total_tokens": 9,
        "input_token_details": {"cache_read": 1},
        "output_token_details": {"reasoning": 4},
    },
    response_metadata={"finish_reason": "MAX_TOKENS", "model_name": "gemini-1"},
)


class Vendor(BaseChatModel):
    """A chat model that passes on what another vendor's package would."""

    message: AIMessage
    parameters: dict[str, Any]

    @property
    def _llm_type(self) -> str:
        return "vendor"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return self.parameters

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.message)])


class Scripted(BaseChatModel):
    """A chat model that says what it is told to."""

    model: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        if self.model == "broken":
            raise ValueError("out of order")
        details = {"finish_reason": "stop", "model_name": "scripted-1"}
        message = AIMessage("Hello", usage_metadata=USAGE, response_metadata=details)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for text in ("Hel", "lo"):
            yield ChatGenerationChunk(message=AIMessageChunk(text))


callback = BriggsCallback(tags=["callback"])
messages = [("system", "Be brief."), ("user", "one two")]
with briggs.session("langchain"):
    config: Any = {"callbacks": [callback], "tags": ["chain"]}
    if Scripted().invoke(messages, config).content != "Hello":
        sys.exit("langchain: the answer is another one")
    if "".join(chunk.content for chunk in Scripted().stream(messages, config)) != "Hello":
        sys.exit("langchain: the stream is another one")
    try:
        Scripted(model="broken").invoke(messages, config)
    except ValueError:
        pass
    else:
        sys.exit("langchain: the error is gone")
    claude = {"model": "claude", "max_tokens": 9, "top_k": 3, "top_p": None, "api_key": "sk-secret"}
    choice = {"type": "tool", "name": "add"}
    Vendor(message=ANTHROPIC, parameters=claude).invoke(
        messages, config, tools=[TOOL], tool_choice=choice
    )
    Vendor(
        message=GEMINI, parameters={"model": "gemini", "max_output_tokens": 9, "_type": "x"}
    ).invoke(messages, config)

    def ask(model: str, **options: Any) -> Any:
        return ChatOpenAI(
            model=model, base_url=sys.argv[1], api_key=SecretStr("sk-secret"), **options
        )

    tuned = {"temperature": 0.5, "max_tokens": 9, "top_p": 0.9, "seed": 7, "stop": ["x"]}
    tuned |= {"frequency_penalty": 0.1, "presence_penalty": 0.2, "reasoning_effort": "low"}
    ask("whole", **tuned).bind_tools([TOOL]).invoke(messages, config)
    list(ask("streamed", stream_usage=True).bind_tools([TOOL]).stream(messages, config))
    asyncio.run(ask("streamed-async", streaming=True, stream_usage=True).ainvoke(messages, config))
