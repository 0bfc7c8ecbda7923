"""What a program with an instrumented client does: its spans go to Briggs, its calls elsewhere.

    python traces_story.py LIBRARY CLIENT UPSTREAM

The address of Briggs and the key stand in the usual variables of OpenTelemetry.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

INSTRUMENTORS = {
    "openllmetry openai": "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
    "openinference openai": "openinference.instrumentation.openai:OpenAIInstrumentor",
    "opentelemetry openai": "opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor",
    "openllmetry anthropic": "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
    "openinference anthropic": "openinference.instrumentation.anthropic:AnthropicInstrumentor",
    "openllmetry langchain": "opentelemetry.instrumentation.langchain:LangchainInstrumentor",
    "openinference langchain": "openinference.instrumentation.langchain:LangChainInstrumentor",
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "description": "tells the weather", "parameters": PARAMETERS}
TOOLS: Any = [{"type": "function", "function": TOOL}]


def main() -> None:
    library, client, upstream = sys.argv[1:]
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    module, _, name = INSTRUMENTORS[f"{library} {client}"].partition(":")
    getattr(import_module(module), name)().instrument()
    with trace.get_tracer("agent").start_as_current_span("run"):
        STORIES[client](upstream)
    provider.shutdown()


def ask_openai(upstream: str) -> None:
    import openai

    chat = openai.OpenAI(base_url=f"{upstream}/v1", api_key="x", max_retries=0).chat.completions
    asked: Any = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi 你好"}]
    first = chat.create(
        model="gpt-4o-mini", messages=asked, tools=TOOLS, temperature=0.5, max_tokens=50
    )
    message = first.choices[0].message.model_dump(exclude_none=True)
    [call] = message["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    chat.create(model="gpt-4o-mini", messages=[*asked, message, result], tools=TOOLS)
    for _ in chat.create(
        model="gpt-4o-mini", messages=asked, stream=True, stream_options={"include_usage": True}
    ):
        pass
    try:
        chat.create(model="missing", messages=asked)
    except openai.NotFoundError:
        return
    raise AssertionError("the upstream refuses this model")


def ask_anthropic(upstream: str) -> None:
    import anthropic

    client = anthropic.Anthropic(base_url=upstream, api_key="x", max_retries=0)
    client.messages.create(
        model="claude-1",
        max_tokens=99,
        system="Be brief",
        messages=[{"role": "user", "content": "Hi 你好"}],
        tools=[{"name": "weather", "description": "tells", "input_schema": PARAMETERS}],
    )


def ask_langchain(upstream: str) -> None:
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", base_url=f"{upstream}/v1", api_key="x", max_retries=0)
    prompt = ChatPromptTemplate.from_messages([("system", "Be {how}"), ("human", "Hi 你好")])
    (prompt | model.bind_tools(TOOLS)).invoke({"how": "brief"})


STORIES = {"openai": ask_openai, "anthropic": ask_anthropic, "langchain": ask_langchain}
main()
