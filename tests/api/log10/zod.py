"""What log10ts checks of a completion, by its generated types: every trap that was found there.

Optional means absent, never null. Members that the types do not know are let through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Check = Callable[[Any], None]


class Refused(AssertionError):
    """What the client would throw."""


class Optional(NamedTuple):
    """A member that may be absent."""

    check: Check


def text(value: Any) -> None:
    demand(isinstance(value, str), f"{value!r} is no text")


def number(value: Any) -> None:
    demand(isinstance(value, int | float) and not isinstance(value, bool), f"{value!r}: no number")


def whole(value: Any) -> None:
    number(value)
    demand(value == int(value), f"{value!r} is not whole")


def boolean(value: Any) -> None:
    demand(isinstance(value, bool), f"{value!r} is neither true nor false")


def anything(value: Any) -> None:
    """No check."""


def one_of(*values: Any) -> Check:
    return lambda value: demand(value in values, f"{value!r} is none of {values}")


def either(*checks: Check) -> Check:
    def check(value: Any) -> None:
        problems = []
        for each in checks:
            try:
                return each(value)
            except Refused as problem:
                problems.append(str(problem))
        raise Refused(" and ".join(problems))

    return check


def nullable(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def list_of(check: Check, *, least: int = 0) -> Check:
    def check_all(value: Any) -> None:
        demand(isinstance(value, list) and len(value) >= least, f"{value!r} is no such list")
        for each in value:
            check(each)

    return check_all


def map_of(check: Check) -> Check:
    def check_all(value: Any) -> None:
        demand(isinstance(value, dict), f"{value!r} is no object")
        for each in value.values():
            check(each)

    return check_all


def shape(**members: Check | Optional) -> Check:
    def check(value: Any) -> None:
        demand(isinstance(value, dict), f"{value!r} is no object")
        for name, member in members.items():
            if name in value:
                (member.check if isinstance(member, Optional) else member)(value[name])
            else:
                demand(isinstance(member, Optional), f"{name} is missing in {value!r}")

    return check


def demand(fact: bool, problem: str) -> None:
    if not fact:
        raise Refused(problem)


ROLE = one_of("system", "user", "assistant", "tool", "function")
FUNCTION_CALL = shape(name=text, arguments=text)
TOOL_CALL = shape(id=text, type=one_of("function"), function=FUNCTION_CALL)
PART = either(
    shape(type=one_of("text"), text=text),
    shape(
        type=one_of("image_url"),
        image_url=shape(url=text, detail=Optional(one_of("auto", "low", "high"))),
    ),
)
MESSAGE = either(
    shape(role=ROLE, content=text, name=Optional(text)),
    shape(role=ROLE, content=list_of(PART, least=1), name=Optional(text)),
    shape(role=ROLE, content=text, tool_call_id=text),
    shape(role=ROLE, content=nullable(text), name=text),
    shape(
        role=ROLE,
        content=Optional(nullable(text)),
        name=Optional(text),
        tool_calls=Optional(list_of(TOOL_CALL)),
        function_call=Optional(FUNCTION_CALL),
    ),
)
FUNCTION = shape(name=text, description=Optional(text), parameters=Optional(map_of(anything)))
REQUEST = shape(
    messages=list_of(MESSAGE, least=1),
    model=Optional(anything),
    frequency_penalty=Optional(nullable(number)),
    logit_bias=Optional(nullable(map_of(whole))),
    logprobs=Optional(nullable(boolean)),
    top_logprobs=Optional(nullable(whole)),
    max_tokens=Optional(nullable(whole)),
    n=Optional(nullable(whole)),
    presence_penalty=Optional(nullable(number)),
    response_format=Optional(shape(type=Optional(one_of("text", "json_object")))),
    seed=Optional(nullable(whole)),
    stop=Optional(nullable(either(text, list_of(text)))),
    stream=Optional(nullable(boolean)),
    stream_options=Optional(nullable(shape(include_usage=boolean))),
    temperature=Optional(nullable(number)),
    top_p=Optional(nullable(number)),
    tools=Optional(list_of(shape(type=one_of("function"), function=FUNCTION))),
    tool_choice=Optional(
        either(
            one_of("none", "auto", "required"),
            shape(type=one_of("function"), function=shape(name=text)),
        )
    ),
    user=Optional(text),
    function_call=Optional(either(one_of("none", "auto"), shape(name=text))),
    functions=Optional(list_of(FUNCTION)),
)
BYTES = nullable(list_of(whole))
TOKEN = shape(
    token=text,
    logprob=number,
    bytes=BYTES,
    top_logprobs=list_of(shape(token=text, logprob=number, bytes=BYTES)),
)
RESPONSE = shape(
    id=text,
    choices=list_of(
        shape(
            finish_reason=one_of("stop", "length", "tool_calls", "content_filter", "function_call"),
            index=whole,
            message=shape(
                role=one_of("assistant"),
                content=nullable(text),
                tool_calls=Optional(list_of(TOOL_CALL)),
                function_call=Optional(FUNCTION_CALL),
            ),
            logprobs=nullable(shape(content=nullable(list_of(TOKEN)))),
        )
    ),
    created=whole,
    model=Optional(anything),
    system_fingerprint=Optional(text),
    object=one_of("chat.completion"),
    usage=Optional(shape(completion_tokens=whole, prompt_tokens=whole, total_tokens=whole)),
)
COMPLETION = shape(
    id=Optional(text),
    organization_id=text,
    kind=one_of("chat", "prompt"),
    status=Optional(one_of("started", "finished", "failed")),
    tags=Optional(list_of(text)),
    request=Optional(REQUEST),
    response=Optional(RESPONSE),
    stacktrace=Optional(list_of(shape(file=text, line=text, lineno=number, name=text))),
    session_id=Optional(text),
    duration=Optional(number),
    failure_kind=Optional(text),
    failure_reason=Optional(text),
)


def check_completion(completion: Mapping[str, Any]) -> None:
    """Raises `Refused` for what log10ts would throw at."""
    COMPLETION(completion)


def check_task(task: Mapping[str, Any]) -> None:
    """The same, for a feedback task."""
    shape(
        id=Optional(text),
        created_at_ms=Optional(number),
        json_schema=map_of(anything),
        name=text,
        instruction=text,
        completion_tags_selector=list_of(text),
        organization_id=text,
    )(task)


def check_feedback(feedback: Mapping[str, Any]) -> None:
    """The same, for feedback."""
    shape(
        id=Optional(text),
        created_at_ms=Optional(number),
        task_id=text,
        json_values=map_of(anything),
        matched_completion_ids=Optional(list_of(text)),
        comment=text,
        completions_summary=Optional(text),
        organization_id=text,
    )(feedback)
