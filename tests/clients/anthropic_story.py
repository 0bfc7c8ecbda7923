"""What programs with Anthropic's package and LangChain's do, with the address and the key alone.

    python anthropic_story.py MODEL TOOLS_MODEL

Both come from the environment, as those programs expect. TOOLS_MODEL calls tools and thinks.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import anthropic
from langchain_anthropic import ChatAnthropic

MODEL, TOOLS_MODEL = sys.argv[1:]
MESSAGES: Any = [{"role": "user", "content": "What is 12 + 34?"}]
# The package has no member for it any more, and Anthropic still accepts it.
COLD = {"temperature": 0}
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
STREAM = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]


def check(fact: bool, what: str) -> None:
    if not fact:
        sys.exit(f"anthropic {anthropic.__version__}: {what}")


def spell(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def call(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=50, messages=MESSAGES, extra_body=COLD)
    check(message.id.startswith("msg_"), "an answer has an id of Anthropic's form")
    check(bool(spell(message)), "an answer has content")
    check(message.stop_reason == "end_turn", "an answer has its stop reason")
    check(message.usage.input_tokens > 0 < message.usage.output_tokens, "an answer has usage")
    check(bool(message._request_id), "an answer has the id of its request")
    streamed = client.messages.create(
        model=MODEL, max_tokens=50, messages=MESSAGES, extra_body=COLD, stream=True
    )
    types = list(dict.fromkeys(event.type for event in streamed))
    check(types == [*STREAM, "message_delta", "message_stop"], f"events come in order: {types}")
    with client.messages.stream(
        model=MODEL, max_tokens=50, messages=MESSAGES, extra_body=COLD, system="Be brief."
    ) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    check(said == spell(final) != "", "a stream spells its last message")
    check(final.usage.input_tokens > 0, "a stream ends with its usage")


def use_tools(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": TOOLS_MODEL, "max_tokens": 2048, "tools": [TOOL]}
    asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    message = client.messages.create(**asked, messages=MESSAGES)
    with client.messages.stream(**asked, messages=MESSAGES) as stream:
        streamed = stream.get_final_message()
    check(
        [block.to_dict() for block in message.content]
        == [block.to_dict() for block in streamed.content],
        "a stream has the blocks of the whole answer",
    )
    kinds = [block.type for block in message.content]
    check(kinds == ["thinking", "tool_use"], f"an answer thinks, then calls: {kinds}")
    check(message.stop_reason == "tool_use", "an answer stops for its calls")
    call = message.content[1]
    check(call.type == "tool_use" and call.input == {"city": "Oslo"}, "a call has its input")
    result = {"type": "tool_result", "tool_use_id": getattr(call, "id", ""), "content": "Rain."}
    turns = [*MESSAGES, {"role": "assistant", "content": message.content}]
    turns.append({"role": "user", "content": [result]})
    after = client.messages.create(**asked, messages=turns)
    check("Rain." in spell(after), "a result is read")


def refuse(client: anthropic.Anthropic) -> None:
    try:
        client.messages.create(model="local/nobody", max_tokens=9, messages=MESSAGES)
    except anthropic.NotFoundError as error:
        details: Any = error.body
        check(details["error"]["type"] == "not_found_error", "an unknown model has its type")
        check(details["request_id"] == error.request_id, "an error names its request")
    else:
        check(False, "an unknown model is refused")
    try:
        client.messages.count_tokens(model=MODEL, messages=MESSAGES)
    except anthropic.BadRequestError as error:
        check("count the tokens" in str(error), "what cannot be counted is refused")
    else:
        check(False, "a local model does not count")
    try:
        client.messages.batches.list()
    except anthropic.NotFoundError as error:
        check("/v1/messages" in str(error), "a batch is refused with what there is")
    else:
        check(False, "there are no batches")
    try:
        anthropic.Anthropic(api_key="wrong").models.list()
    except anthropic.AuthenticationError:
        return
    check(False, "a wrong key is refused")


def list_models(client: anthropic.Anthropic) -> None:
    listed = [model.id for model in client.models.list(limit=1)]
    check(MODEL in listed, f"the model is listed: {listed}")
    check(client.models.retrieve(MODEL).type == "model", "a model is retrieved")


async def call_at_once() -> None:
    async with anthropic.AsyncAnthropic() as client:
        answers = await asyncio.gather(
            *(
                client.messages.create(
                    model=MODEL, max_tokens=50, messages=MESSAGES, extra_body=COLD
                )
                for _ in range(8)
            )
        )
        check(len({spell(answer) for answer in answers}) == 1, "eight at once say the same")
        async with client.messages.stream(
            model=MODEL, max_tokens=50, messages=MESSAGES, extra_body=COLD
        ) as stream:
            check(spell(await stream.get_final_message()) != "", "a stream is read by async code")


def call_by_langchain() -> None:
    model = ChatAnthropic(model=MODEL, max_tokens=50, temperature=0)
    whole = model.invoke("What is 12 + 34?")
    streamed = "".join(str(piece.text) for piece in model.stream("What is 12 + 34?"))
    check(bool(whole.text) and whole.text == streamed, "LangChain reads it whole and streamed")
    thinker = ChatAnthropic(model=TOOLS_MODEL, max_tokens=2048)
    called = thinker.bind_tools([TOOL]).invoke("Weather?")
    calls = getattr(called, "tool_calls", [])
    check([call["args"] for call in calls] == [{"city": "Oslo"}], "LangChain reads a call")


client = anthropic.Anthropic()
omitted: Any = {"X-Api-Key": anthropic.Omit()}
bearer = anthropic.Anthropic(auth_token=client.api_key, default_headers=omitted)
call(client)
call(bearer)
use_tools(client)
refuse(client)
list_models(client)
asyncio.run(call_at_once())
call_by_langchain()
