"""What a program with LangChain does: a chat model with our callback, whole, streamed, failing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

import briggs
from briggs.client.langchain import BriggsCallback

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


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
