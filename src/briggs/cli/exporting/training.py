"""Rows of training files, from completions and what reviewers said of them.

The shapes are those of OpenAI's fine-tuning and of TRL:
https://platform.openai.com/docs/api-reference/fine-tuning/chat-input
https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from briggs.cli.exporting.rows import ExportRow
from briggs.cli.terminal.text import list_messages, read_request
from briggs.client import AsyncClient, CompletionFilters, Feedback, NotFound, StoredCompletion
from briggs.client.errors import InvalidArgument
from briggs.types import json
from briggs.types.any_json import list_objects, members, number, text

TrainingFormat = Literal["openai", "trl"]
RowKind = Literal["messages", "prompt-completion", "preference", "labels"]

KINDS: dict[TrainingFormat, Sequence[RowKind]] = {
    "openai": ("messages", "preference"),
    "trl": ("messages", "prompt-completion", "preference", "labels"),
}
_BEST = "best"
"""The field of a preference: the id of the best completion."""
_CUT = ("length", "content_filter")


class TrainingWish(NamedTuple):
    """Which rows are wanted."""

    format: TrainingFormat
    kind: RowKind
    task_id: str | None = None
    """Only grades and corrections of this task count."""
    field: str | None = None
    """The field of the grade. None if the task has only one that is a number."""
    least: float | None = None
    """The least grade of a good answer."""

    @property
    def is_judged(self) -> bool:
        """Whether only completions with feedback give rows."""
        return self.task_id is not None or self.kind in ("preference", "labels")


class TrainingSample(NamedTuple):
    """What was asked and answered, in OpenAI's words."""

    messages: list[dict[str, Any]]
    answer: dict[str, Any]
    tools: list[Any]
    parallel: Any


class LeftOut(Exception):
    """This completion gives no row."""


class _Extremes(NamedTuple):
    """The best and the worst of the graded answers to the same messages."""

    best: float
    best_id: str
    worst: float
    worst_id: str


_Graded = dict[bytes, _Extremes]
"""By a hash of the messages."""


async def read_training(
    client: AsyncClient, *, wish: TrainingWish, filters: CompletionFilters, after: str = ""
) -> AsyncIterator[ExportRow]:
    """One row of a training file, or several, for each completion."""
    graded: _Graded = {}
    async for line in client.completions.download(after=after, **filters):
        item = json.decode(line, StoredCompletion)
        place = (item.id, item.briggs.created_at)
        try:
            rows = [row async for row in _read_rows(client, item, wish=wish, graded=graded)]
        except LeftOut as reason:
            yield ExportRow(b"", *place, left_out=str(reason))
        else:
            yield ExportRow(b"".join(map(_encode, rows)), *place, size=len(rows))
    for each in graded.values():
        if (pair := await _pair_grades(client, each, wish=wish)) is not None:
            yield ExportRow(_encode(pair), each.best_id, 0.0)


async def _read_rows(
    client: AsyncClient,
    item: StoredCompletion,
    *,
    wish: TrainingWish,
    graded: dict[bytes, _Extremes],
) -> AsyncIterator[dict[str, Any]]:
    if wish.kind == "preference":
        async for row in _read_pairs(client, item, wish=wish, graded=graded):
            yield row
    elif wish.kind == "labels":
        for row in _read_labels(item, wish=wish):
            yield row
    else:
        yield _write_one(_read_good(item, wish=wish), wish=wish)


def _read_good(item: StoredCompletion, *, wish: TrainingWish) -> TrainingSample:
    """The sample that a model should learn from: a correction, or an answer that is good."""
    sample = _read_sample(item)
    given = _list_feedback(item, wish=wish)
    if (corrected := _find_correction(given)) is not None:
        return sample._replace(answer=corrected)
    if wish.task_id is not None and not given:
        raise LeftOut("not graded")
    if wish.least is not None:
        grade = _find_grade(given, wish=wish)
        if grade is None:
            raise LeftOut("not graded")
        if grade < wish.least:
            raise LeftOut("graded too low")
    _check_whole(item)
    return sample


def _read_labels(item: StoredCompletion, *, wish: TrainingWish) -> Iterator[dict[str, Any]]:
    """Whether the answer is good, by its grade, its correction or a preference."""
    sample, label = _read_sample(item), _find_preferred(item)
    given = _list_feedback(item, wish=wish)
    grade = _find_grade(given, wish=wish)
    corrected = _find_correction(given)
    if grade is not None and wish.least is not None:
        label = grade >= wish.least
    elif corrected is not None:
        label = False
    if label is None:
        raise LeftOut("not graded")
    yield _write_label(sample, label)
    if corrected is not None:
        yield _write_label(sample._replace(answer=corrected), True)


async def _read_pairs(
    client: AsyncClient,
    item: StoredCompletion,
    *,
    wish: TrainingWish,
    graded: dict[bytes, _Extremes],
) -> AsyncIterator[dict[str, Any]]:
    """The answer beside its correction, and beside the answers that it was preferred to."""
    sample = _read_sample(item)
    given = _list_feedback(item, wish=wish)
    is_paired = False
    if (corrected := _find_correction(given)) is not None:
        is_paired = True
        yield _write_pair(sample, chosen=corrected, rejected=sample.answer, wish=wish)
    for each in _list_preferences(item):
        for id in each.matched_completion_ids if each.json_values[_BEST] == item.id else ():
            rejected = None if id == item.id else await _find_sample(client, id)
            if rejected is not None and rejected.messages == sample.messages:
                is_paired = True
                yield _write_pair(sample, sample.answer, rejected.answer, wish=wish)
    grade = _find_grade(given, wish=wish) if wish.task_id else None
    if grade is not None:
        is_paired = True
        key = hashlib.sha256(json.encode(sample.messages)).digest()
        graded[key] = _widen(graded.get(key), item.id, grade)
    if not is_paired:
        raise LeftOut("neither preferred, corrected nor graded")


def _widen(before: _Extremes | None, id: str, grade: float) -> _Extremes:
    if before is None:
        return _Extremes(grade, id, grade, id)
    if grade > before.best:
        return before._replace(best=grade, best_id=id)
    return before._replace(worst=grade, worst_id=id) if grade < before.worst else before


async def _pair_grades(
    client: AsyncClient, graded: _Extremes, *, wish: TrainingWish
) -> dict[str, Any] | None:
    is_good = wish.least is None or graded.best >= wish.least
    if not is_good or graded.best <= graded.worst:
        return None
    chosen = await _find_sample(client, graded.best_id)
    rejected = await _find_sample(client, graded.worst_id)
    if chosen is None or rejected is None:
        return None
    return _write_pair(chosen, chosen.answer, rejected.answer, wish=wish)


async def _find_sample(client: AsyncClient, id: str) -> TrainingSample | None:
    try:
        return _read_sample(await client.completions.retrieve(id, include=["request"]))
    except (NotFound, LeftOut):
        return None


# ---- What a completion says.


def _read_sample(item: StoredCompletion) -> TrainingSample:
    """What was asked and answered. Raises `LeftOut`."""
    if item.briggs.status != "finished":
        raise LeftOut("not finished")
    messages = [_trim(each) for each in list_objects(list_messages(item.briggs.request))]
    if not messages:
        raise LeftOut("without messages")
    said = members(item.choices[0].get("message")) if item.choices else {}
    answer = _trim({"role": "assistant", **said})
    if not (answer.get("content") or answer.get("tool_calls") or answer.get("function_call")):
        raise LeftOut("without an answer")
    request = read_request(item.briggs.request)
    tools = request.get("tools")
    return TrainingSample(
        messages,
        answer,
        tools if isinstance(tools, list) else [],
        request.get("parallel_tool_calls"),
    )


def _check_whole(item: StoredCompletion) -> None:
    if any(reason in _CUT for reason in item.briggs.finish_reasons):
        raise LeftOut("cut off")


_KEPT = ("role", "content", "name", "refusal", "tool_calls", "function_call", "tool_call_id")


def _trim(message: dict[str, Any]) -> dict[str, Any]:
    """A message with the members that a training file may have, without those that are null."""
    kept = {name: message[name] for name in _KEPT if message.get(name) is not None}
    if message.get("role") == "assistant" and "content" not in kept:
        kept["content"] = None
    if message.get("role") == "developer":
        # No training file has this role. It is the newer name of the system's.
        kept["role"] = "system"
    return kept


def _list_feedback(item: StoredCompletion, *, wish: TrainingWish) -> list[Feedback]:
    """The feedback that counts, oldest first, without preferences."""
    given = [] if item.briggs.feedback is UNSET else item.briggs.feedback
    return [
        each for each in given if not _is_preference(each) and wish.task_id in (None, each.task_id)
    ]


def _list_preferences(item: StoredCompletion) -> list[Feedback]:
    return (
        [] if item.briggs.feedback is UNSET else list(filter(_is_preference, item.briggs.feedback))
    )


def _is_preference(feedback: Feedback) -> bool:
    best = feedback.json_values.get(_BEST, UNSET)
    is_named = best is None or best in feedback.matched_completion_ids
    return len(feedback.matched_completion_ids) > 1 and len(feedback.json_values) == 1 and is_named


def _find_preferred(item: StoredCompletion) -> bool | None:
    """Whether the newest preference calls this answer the best. None if none decides that."""
    said = [each.json_values[_BEST] for each in _list_preferences(item)]
    decided = [best == item.id for best in said if best is not None]
    return decided[-1] if decided else None


def _find_correction(given: Sequence[Feedback]) -> dict[str, Any] | None:
    """The answer that a reviewer wrote instead. The newest counts, and a lead's before it."""
    corrected = [each for each in given if each.corrected_output not in (UNSET, None, "")]
    leads = [each for each in corrected if each.reviewer_kind == "lead"]
    for each in (leads or corrected)[-1:]:
        said = each.corrected_output
        if isinstance(said, dict):
            return _trim({**said, "role": "assistant"})
        return {"role": "assistant", "content": text(said) or _write_json(said)}
    return None


def _find_grade(given: Sequence[Feedback], *, wish: TrainingWish) -> float | None:
    """The mean of the grades, or a lead's decision. None if nobody graded it."""
    leads = [each for each in given if each.reviewer_kind == "lead"]
    grades = [
        grade
        for each in leads[-1:] or given
        if (grade := _read_grade(each, field=wish.field)) is not None
    ]
    return sum(grades) / len(grades) if grades else None


def _read_grade(feedback: Feedback, *, field: str | None) -> float | None:
    values = feedback.json_values
    found = {name: _as_number(value) for name, value in values.items()}
    if field is not None:
        return found.get(field)
    numbers = {name: value for name, value in found.items() if value is not None}
    if len(numbers) > 1:
        name = next(iter(numbers))
        raise InvalidArgument(
            f"the task '{feedback.task_name}' has several grades: {', '.join(numbers)}. Name one: "
            f"--min-grade {name}=NUMBER"
        )
    return next(iter(numbers.values()), None)


def _as_number(value: Any) -> float | None:
    return float(value) if isinstance(value, bool) else number(value)


# ---- What the files say.


def _write_one(sample: TrainingSample, *, wish: TrainingWish) -> dict[str, Any]:
    if wish.format == "openai":
        # Only the last answer was judged. The earlier ones are what it answers to.
        asked = [
            {**each, "weight": 0} if each["role"] == "assistant" else each
            for each in sample.messages
        ]
        return {"messages": [*asked, {**sample.answer, "weight": 1}], **_write_tools(sample)}
    asked, answer = _for_trl(sample.messages), _for_trl([sample.answer])
    tools = {"tools": sample.tools} if sample.tools else {}
    if wish.kind == "messages":
        return {"messages": [*asked, *answer], **tools}
    return {"prompt": asked, "completion": answer, **tools}


def _write_pair(
    sample: TrainingSample, chosen: dict[str, Any], rejected: dict[str, Any], *, wish: TrainingWish
) -> dict[str, Any]:
    if wish.format == "openai":
        return {
            "input": {"messages": sample.messages, **_write_tools(sample)},
            "preferred_output": [chosen],
            "non_preferred_output": [rejected],
        }
    return {
        "prompt": _for_trl(sample.messages),
        "chosen": _for_trl([chosen]),
        "rejected": _for_trl([rejected]),
        **({"tools": sample.tools} if sample.tools else {}),
    }


def _write_label(sample: TrainingSample, label: bool) -> dict[str, Any]:
    return {
        "prompt": _for_trl(sample.messages),
        "completion": _for_trl([sample.answer]),
        "label": label,
        **({"tools": sample.tools} if sample.tools else {}),
    }


def _write_tools(sample: TrainingSample) -> dict[str, Any]:
    if not sample.tools:
        return {}
    parallel = {} if sample.parallel is None else {"parallel_tool_calls": sample.parallel}
    return {"tools": sample.tools, **parallel}


def _for_trl(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages as chat templates read them: texts, and the arguments of calls as objects."""
    written = []
    for message in messages:
        written.append({**message, "content": _join(message.get("content"))})
        if calls := list_objects(message.get("tool_calls")):
            written[-1]["tool_calls"] = [_read_call(call) for call in calls]
    return written


def _join(content: Any) -> str:
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    texts = [text(part.get("text")) for part in list_objects(content)]
    if None in texts:
        raise LeftOut("with images, sound or files")
    return "".join(each or "" for each in texts)


def _read_call(call: dict[str, Any]) -> dict[str, Any]:
    function = members(call.get("function"))
    try:
        arguments = json.decode(function.get("arguments") or "{}")
    except (msgspec.DecodeError, TypeError):
        arguments = function.get("arguments")
    return {**call, "function": {**function, "arguments": arguments}}


def _write_json(value: Any) -> str:
    return json.encode(value).decode("utf-8", "replace")


def _encode(row: dict[str, Any]) -> bytes:
    return json.encode(row) + b"\n"
