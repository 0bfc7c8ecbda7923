"""What an answer of Briggs must be, whatever was asked of it and whatever an upstream said."""

from __future__ import annotations

import json
import re
from typing import Any

from briggs.rules import check_error, check_response, check_stream
from tests.fuzz.exchange import Answer, Hostile, Outcome
from tests.mutations import UNMENDED

CHAT = b"/v1/chat/completions"
MESSAGES = b"/v1/messages"
RESPONSES = b"/v1/responses"
_ENDED = ("completed", "incomplete")
# The book judges neither what is nested deeper than it looks, nor numbers beyond all floats. Both
# are legal JSON and pass as they came in members that the specification does not know.
_UNJUDGED = ("nested deeper", "Number out of range")
_FORBIDDEN = (b"Traceback (most recent call last)", b"secret-of-another-call")


def judge(hostile: Hostile, outcome: Outcome, *, secrets: tuple[bytes, ...]) -> list[str]:
    """What is wrong with what came of a connection, as sentences."""
    if hostile.ending == "leave":
        return []
    if outcome.fault is not None:
        return [f"not HTTP: {outcome.fault}"]
    if not outcome.answers:
        if not outcome.was_closed:
            return [f"no answer within {outcome.duration_s:.1f} s"]
        return [] if hostile.may_be_unanswered else ["closed without an answer"]
    problems = []
    for answer in outcome.answers:
        problems += judge_answer(answer, path=hostile.path, statuses=hostile.statuses)
        problems += [
            f"shows a secret: {secret[:12]!r}..."
            for secret in secrets
            if secret in answer.body or any(secret in value for _, value in answer.headers)
        ]
    return problems


def judge_answer(answer: Answer, *, path: bytes, statuses: frozenset[int]) -> list[str]:
    """What is wrong with one answer."""
    problems = []
    if answer.status == 500:
        problems.append(f"500: {answer.body[:200]!r}")
    if statuses and answer.status not in statuses:
        problems.append(f"{answer.status} is none of {sorted(statuses)}: {answer.body[:200]!r}")
    ids = answer.find(b"x-request-id")
    if len(ids) != 1 or not ids[0]:
        problems.append(f"{len(ids)} x-request-id in an answer of {answer.status}")
    if answer.find(b"x-forged"):
        problems.append("a header that the caller forged")
    found = [word for word in _FORBIDDEN if word in answer.body]
    problems += [f"has {word!r}: {answer.body[:300]!r}" for word in found]
    if answer.body:
        try:
            problems += _judge_body(answer, path)
        except (ValueError, AssertionError, KeyError, TypeError) as error:
            problems.append(f"a body that cannot be read: {error!r} {answer.body[:200]!r}")
    elif answer.status >= 400 and answer.find(b"content-length") == [b"0"]:
        problems.append(f"{answer.status} without a body")
    return problems


def list_broken(body: bytes, *, status: int, content_type: str, request: bytes) -> set[str]:
    """The rules that a chat's answer breaks, of those that can be kept whatever came."""
    unmended = set(UNMENDED)
    if status != 200:
        findings = check_error(body, status=status, content_type=content_type)
    elif content_type.startswith("text/event-stream"):
        payloads = [json.loads(frame) for frame in _read_frames(body) if frame != "[DONE]"]
        failed = [payload for payload in payloads if payload.get("error")]
        # A failure is one last frame, and after it there is no [DONE].
        assert failed in ([], payloads[-1:]), "something follows an error"
        assert body.endswith(b"data: [DONE]\n\n") == (not failed), "[DONE] without success"
        if failed:
            broken = check_error(json.dumps(failed[0]).encode(), status=500)
            return {one.rule for one in broken}
        if not any(payload.get("usage") for payload in payloads):
            # A usage that no vendor sent is not invented.
            unmended.add("S8")
        findings = check_stream(body, request=request)
    else:
        findings = check_response(body, request=request)
    if any(reason in one.message for one in findings for reason in _UNJUDGED):
        return set()
    return {one.rule for one in findings if one.severity == "error"} - unmended


def _judge_body(answer: Answer, path: bytes) -> list[str]:
    kind = answer.content_type
    if not kind:
        return ["a body without a content-type"]
    if path == RESPONSES and answer.status == 200:
        return _judge_response(answer.body, is_stream=kind.startswith("text/event-stream"))
    if kind.startswith("text/event-stream") and path != CHAT:
        assert answer.body.endswith(b"\n\n"), "a stream that does not end with a blank line"
        return _judge_events(answer.body) if path == MESSAGES else []
    if kind.startswith("application/x-ndjson"):
        # What came before may be a vendor's own, who speaks the caller's format.
        assert isinstance(json.loads(answer.body.splitlines()[-1]), dict), "no object at the end"
        return []
    if kind.startswith("text/event-stream"):
        broken = list_broken(answer.body, status=200, content_type=kind, request=b"{}")
        return [f"a stream that breaks {sorted(broken)}"] if broken else []
    if not kind.startswith("application/json"):
        return [f"{answer.status} of {kind}"] if answer.status >= 400 else []
    value = json.loads(answer.body, parse_constant=_refuse)
    if answer.status >= 400:
        return _judge_error(value, path)
    if path == CHAT and isinstance(value, dict) and value.get("object") == "chat.completion":
        broken = list_broken(answer.body, status=200, content_type=kind, request=b"{}")
        return [f"an answer that breaks {sorted(broken)}"] if broken else []
    return []


def _judge_events(body: bytes) -> list[str]:
    """A message begins, and ends with its stop or an error."""
    # The lines `event:` may be a vendor's own, with anything in them.
    names = re.findall(rb'^data: ?\{"type": ?"(\w+)"', body, re.MULTILINE)
    is_whole = names[:1] == [b"message_start"] and names[-1] in (b"message_stop", b"error")
    return [] if is_whole else [f"a message that is not whole: {names[:3]} ... {names[-3:]}"]


def _judge_response(body: bytes, *, is_stream: bool) -> list[str]:
    """A response is whole. A stream has numbered events, and ends with it or with an error."""
    response = json.loads(body) if not is_stream else _read_last_response(body)
    if response is None:
        return []
    kinds = [item["type"] for item in response["output"]]
    is_known = set(kinds) <= {"message", "reasoning", "function_call", "custom_tool_call"}
    is_whole = response["object"] == "response" and response["status"] in _ENDED
    return [] if is_known and is_whole else [f"a response that is none: {body[-300:]!r}"]


def _read_last_response(stream: bytes) -> Any:
    """The response in the last event. None if that is an error, which comes after a failure."""
    assert stream.endswith(b"\n\n"), "a stream that does not end with a blank line"
    frames = stream.removesuffix(b"\n\n").split(b"\n\n")
    events = [json.loads(frame.partition(b"\ndata: ")[2]) for frame in frames]
    assert [event["sequence_number"] for event in events] == [*range(len(events))], "odd numbers"
    if events[-1]["type"] != "error":
        return events[-1]["response"]
    assert events[-2]["type"] == "response.failed", "an error without a failure"
    return None


def _judge_error(value: Any, path: bytes) -> list[str]:
    """An error has the shape that the face's clients read."""
    if not isinstance(value, dict):
        return [f"an error that is no object: {value!r:.100}"]
    if "errors" in value:
        messages = [each.get("message") for each in value["errors"]]
    elif isinstance(value.get("error"), dict):
        messages = [value["error"].get("message")]
    else:
        # The last is that of OTLP, a google.rpc.Status.
        names = ("error", "reason", "message")
        messages = [next((value[name] for name in names if name in value), None)]
    if not messages or not all(isinstance(each, str) and each for each in messages):
        return [f"an error without words at {path[:60]!r}: {value!r:.200}"]
    return []


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _read_frames(body: bytes) -> list[str]:
    assert body.endswith(b"\n\n"), "a stream that does not end with a blank line"
    frames = body.decode().removesuffix("\n\n").split("\n\n")
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames), "odd frames"
    return [frame.removeprefix("data: ") for frame in frames]
