"""Checks the JSON Schemas of tasks, and checks feedback against them.

Log10's tasks use draft-07 and 2020-12, and so may ours. Log10's hints for forms work too: `multi`
(`true`, or `{"rows": 5}`) makes a text box, and `format` makes an input of that kind.

Patterns match in linear time, and the work of a check is counted before it is done
(`schema_work.py`). Both functions may take tens of milliseconds: call them off the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import jsonschema_rs
from jsonschema_rs import ValidationError, Validator

from briggs.feedback.schema_mistakes import find_mistake, walk_schemas
from briggs.feedback.schema_work import (
    PROBLEM_BYTES_MAX,
    STEPS_MAX,
    WORK_MAX,
    Steps,
    TooMuchWork,
    measure,
)
from briggs.types import json
from briggs.types.errors import InvalidRequest
from briggs.types.forms import FIELDS_MAX, read_form
from briggs.types.references import MISSING, References, list_references

DRAFTS: Mapping[str, type[Validator]] = {
    "http://json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema_rs.Draft202012Validator,
}
_NEWEST = "https://json-schema.org/draft/2020-12/schema"

PROBLEMS_MAX = 20
DEPTH_MAX = 64
SCHEMA_VALUES_MAX = 10_000
SCHEMA_BYTES_MAX = 256 * 1024
PATTERN_LENGTH_MAX = 1_000
ANSWER_BYTES_MAX = 4 * 1024 * 1024
_LEVELS = 8
"""A new schema is tried with answers of this depth."""

_REGEX = jsonschema_rs.RegexOptions(size_limit=1024 * 1024)
"""Rust's `regex` takes linear time, and the size of a compiled pattern is bounded."""


class InvalidValues(InvalidRequest):
    """The values break the schema. Lists every problem with its path."""

    def __init__(self, problems: list[dict[str, str]]) -> None:
        listed = "; ".join(f"{each['path']}: {each['message']}" for each in problems)
        super().__init__(
            f"The values are not what the task asks for. {listed}.", param=problems[0]["path"]
        )
        self.problems = problems

    def to_object(self) -> dict[str, Any]:
        body = super().to_object()
        body["error"]["problems"] = self.problems
        return body


class _Compiled(NamedTuple):
    validator: Validator
    steps: Steps


def check_schema(schema: Any) -> None:
    """Raises `InvalidRequest` that says where a schema is wrong and what to do."""
    if not isinstance(schema, dict):
        raise _refuse("", "it must be an object, such as {'type': 'object', 'properties': {...}}")
    try:
        _check_size(schema)
        schema = _replace_surrogates(schema)
        draft = _find_draft(schema)
        _check_meant(schema)
        _check_hints(schema)
        _check_references(schema)
        _check_patterns(schema)
        _check_draft(schema, draft)
        _check_steps(schema)
        _check_form(schema)
    except RecursionError:
        raise _refuse("", f"it is nested more than {DEPTH_MAX} levels deep") from None


def check_values(values: dict[str, Any], *, schema: dict[str, Any]) -> None:
    """Raises `InvalidValues`, which names everything that is wrong at once."""
    try:
        problems = list(islice(_find_problems(values, schema), PROBLEMS_MAX))
    except RecursionError:
        problems = [_problem(f"the values are nested more than {DEPTH_MAX} levels deep")]
    if problems:
        raise InvalidValues(problems)


def _find_problems(values: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, str]]:
    sizes, _ = measure(values)
    if len(sizes) > DEPTH_MAX:
        raise RecursionError
    if sizes[0] > ANSWER_BYTES_MAX:
        yield _problem(f"they are larger than {ANSWER_BYTES_MAX // 2**20} MiB")
        return
    try:
        encoded = json.encode_plain(schema)
        compiled = _compile(encoded)
        work = sum(size * compiled.steps.count(level) for level, size in enumerate(sizes))
        if work > WORK_MAX:
            yield _problem(
                f"checking them would take {work:,} steps, and the limit is {WORK_MAX:,}. Send "
                "shorter values, or simplify the schema of the task"
            )
            return
        if _is_valid(compiled.validator, values):
            return
        size = compiled.steps.count_problem_bytes(values, encoded=encoded)
        if size > PROBLEM_BYTES_MAX:
            yield _problem(
                "they do not satisfy the schema of the task, and are too large to list what is "
                "wrong. Send fewer or shorter values, or simplify the schema"
            )
            return
        for error in sorted(_list_errors(compiled.validator, values), key=_place):
            yield {
                "path": _name(error.instance_path, root="json_values"),
                "message": _explain(error),
            }
    except TooMuchWork as error:
        yield _problem(f"the schema of the task cannot be checked: {error.message}")
    except (ValidationError, ValueError) as error:
        # The task was created by an older version, which allowed more.
        yield _problem(f"the schema of the task cannot be used: {_first_line(error)}. Update it")


def _is_valid(validator: Validator, values: Any) -> bool:
    try:
        return validator.is_valid(values)
    except UnicodeEncodeError:
        return validator.is_valid(_replace_surrogates(values))


def _list_errors(validator: Validator, values: Any) -> list[ValidationError]:
    try:
        return list(validator.iter_errors(values))
    except UnicodeEncodeError:
        return list(validator.iter_errors(_replace_surrogates(values)))


def _replace_surrogates(value: Any) -> Any:
    """Replace halves of surrogate pairs, which the validator does not accept."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in value)
    if isinstance(value, list):
        return [_replace_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {
            _replace_surrogates(name): _replace_surrogates(each) for name, each in value.items()
        }
    return value


@lru_cache(maxsize=16)
def _compile(encoded: bytes) -> _Compiled:
    schema = _replace_surrogates(json.decode(encoded))
    return _Compiled(_open(schema, _find_draft(schema)), Steps(schema))


def _open(schema: dict[str, Any], draft: type[Validator]) -> Validator:
    # `offline`: a reference never causes a request to another server, and never opens a file.
    return draft(schema, validate_formats=True, pattern_options=_REGEX, offline=True)


def _find_draft(schema: Mapping[str, Any]) -> type[Validator]:
    named = schema.get("$schema", _NEWEST)
    draft = DRAFTS.get(named.rstrip("#")) if isinstance(named, str) else None
    if draft is None:
        raise _refuse("$schema", f"it must be absent or one of {', '.join(DRAFTS)}")
    return draft


def _check_size(schema: dict[str, Any]) -> None:
    """Refuse a schema that is too large or too deep, before any other check reads it."""
    size = len(json.encode_plain(schema))
    if size > SCHEMA_BYTES_MAX:
        raise _refuse("", f"it has {size:,} bytes, and the limit is {SCHEMA_BYTES_MAX:,}")
    count, depth, waiting = 0, 0, [schema]
    while waiting:
        depth += 1
        if depth > DEPTH_MAX:
            raise RecursionError
        count += len(waiting)
        waiting = [inner for value in waiting for inner in _list_inner(value)]
    if count > SCHEMA_VALUES_MAX:
        raise _refuse("", f"it holds {count:,} values, and the limit is {SCHEMA_VALUES_MAX:,}")


def _list_inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_meant(schema: dict[str, Any]) -> None:
    """Refuse what JSON Schema allows but is surely a mistake, and values that are not objects."""
    if mistake := find_mistake(schema):
        raise _refuse(_name(mistake.path), mistake.message)
    wanted = schema.get("type", "object")
    if wanted != "object" and not (isinstance(wanted, list) and "object" in wanted):
        meant = {"type": "object", "properties": {"value": "..."}}
        raise _refuse(
            "type", f"the values are an object, so it must be 'object', not {wanted!r}. Give the "
            f"value a name, as in {meant}"
        )  # fmt: skip


def _check_hints(schema: dict[str, Any]) -> None:
    """Check each `multi` and `$id`, at any depth."""
    for path, inner in walk_schemas(schema):
        if not isinstance(inner, dict):
            continue
        multi = inner.get("multi", False)
        rows = multi.get("rows", 1) if isinstance(multi, dict) else 1
        if not isinstance(multi, bool | dict) or not isinstance(rows, int) or rows < 1:
            raise _refuse(
                _name([*path, "multi"]), "it must be true, false, or {'rows': N} with N from 1"
            )
        if path and not str(inner.get("$id", "#")).startswith("#"):
            raise _refuse(_name([*path, "$id"]), "only the whole schema can have an '$id'")


def _check_references(schema: dict[str, Any]) -> None:
    """Check that every reference leads to a schema within this schema."""
    references = References(schema)
    known = {id(inner) for _, inner in walk_schemas(schema)}
    for path, inner in walk_schemas(schema):
        for reference in list_references(inner) if isinstance(inner, dict) else ():
            found = references.look_up(reference)
            keyword = "$ref" if inner.get("$ref") == reference else "$dynamicRef"
            if found is MISSING:
                raise _refuse(
                    _name([*path, keyword]),
                    f"'{reference}' is not in this schema, and other schemas are not fetched. "
                    "Copy its target into '$defs'",
                )
            if not isinstance(found, bool) and id(found) not in known:
                raise _refuse(_name([*path, keyword]), f"'{reference}' does not lead to a schema")


def _check_patterns(schema: dict[str, Any]) -> None:
    """Refuse patterns that do not match in linear time: lookaround and back-references."""
    for path, inner in walk_schemas(schema):
        if not isinstance(inner, dict):
            continue
        said = [((*path, "pattern"), inner.get("pattern"))]
        if isinstance(inner.get("patternProperties"), dict):
            said += [
                ((*path, "patternProperties", name), name) for name in inner["patternProperties"]
            ]
        for place, pattern in said:
            if not isinstance(pattern, str):
                continue
            if len(pattern) > PATTERN_LENGTH_MAX:
                raise _refuse(
                    _name(place), f"a pattern has at most {PATTERN_LENGTH_MAX:,} characters"
                )
            try:
                _open({"pattern": pattern}, jsonschema_rs.Draft202012Validator)
            except (ValidationError, ValueError):
                raise _refuse(
                    _name(place),
                    f"'{pattern:.200}' is not a regex that can be used. Patterns are ECMA-262 "
                    "without lookahead, lookbehind and back-references, and of bounded size",
                ) from None


def _check_draft(schema: dict[str, Any], draft: type[Validator]) -> None:
    """Check the schema against the draft's own schema."""
    try:
        _open(schema, draft)
    except ValidationError as error:
        raise _refuse(_name(error.instance_path), _explain(error)) from None
    except ValueError as error:
        raise _refuse("", _first_line(error)) from None


def _check_steps(schema: dict[str, Any]) -> None:
    steps = Steps(schema)
    try:
        most = max(map(steps.count, range(_LEVELS)))
    except TooMuchWork as error:
        raise _refuse("", f"{error.message}, so no answer could ever be checked") from None
    if most > STEPS_MAX:
        raise _refuse(
            "",
            f"checking one value could take more than {STEPS_MAX:,} steps. Use fewer alternatives "
            "within alternatives, or shorter lists of values in them",
        )


def _check_form(schema: dict[str, Any]) -> None:
    """Check that there are not too many fields, and that some answer can satisfy them."""
    form = read_form(schema)
    if not form.is_whole:
        raise _refuse("", f"it has more than {FIELDS_MAX:,} fields, counting those of references")
    if form.contradiction is not None:
        path = [step for name in form.contradiction for step in ("properties", name)]
        what = "value" if path else "answer"
        raise _refuse(
            _name(path), f"no {what} can satisfy it, because its conditions contradict each other"
        )


def _problem(message: str) -> dict[str, str]:
    return {"path": "json_values", "message": message}


def _explain(error: ValidationError) -> str:
    """The library's message, cut if it repeats a large value."""
    return error.message if len(error.message) <= 300 else f"{error.message[:300]}..."


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]


def _refuse(path: str, message: str) -> InvalidRequest:
    name = f"json_schema.{path}" if path else "json_schema"
    return InvalidRequest(f"'{name}' is wrong: {message}.".replace("?.", "?"), param=name)


def _name(path: Iterable[str | int], *, root: str = "") -> str:
    """`a.b[0]`."""
    name = root
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _place(error: ValidationError) -> list[str]:
    return [str(step) for step in error.instance_path]
