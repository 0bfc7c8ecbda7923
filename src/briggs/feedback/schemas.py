"""JSON Schemas of tasks: checked when a task is made, and what every feedback is checked by.

Both drafts that Log10's tasks are written in are understood, and its hints for forms: `multi`
(`true`, or `{"rows": 5}`) makes a text box, `format` an input of that kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT7, DRAFT202012

from briggs.types.errors import InvalidRequest

DRAFTS: Mapping[str, type[Validator]] = {
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
}
_NEWEST = "https://json-schema.org/draft/2020-12/schema"

PROBLEMS_MAX = 20


class InvalidValues(InvalidRequest):
    """Values that a schema does not allow: every problem, each with its path."""

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


def check_schema(schema: Any) -> None:
    """Raises `InvalidRequest` that says where a schema is wrong and what to do."""
    if not isinstance(schema, dict):
        raise _refuse("", "it must be an object, such as {'type': 'object', 'properties': {...}}")
    draft = _find_draft(schema)
    checker = draft(draft.META_SCHEMA, format_checker=draft.FORMAT_CHECKER)
    try:
        for error in sorted(checker.iter_errors(schema), key=_depth):
            raise _refuse(_name(error.absolute_path), _explain(error))
        _check_type(schema)
        _check_hints(schema, path=[])
        _check_references(schema)
        # A schema that refers to itself for ever shows with any value.
        list(_open(schema).iter_errors({}))
    except RecursionError:
        raise _refuse("", "it is nested too deeply") from None


def check_values(values: dict[str, Any], *, schema: dict[str, Any]) -> None:
    """Raises `InvalidValues`, which names everything that is wrong at once."""
    try:
        problems = [
            {"path": _name(error.absolute_path, root="json_values"), "message": _explain(error)}
            for error in sorted(_open(schema).iter_errors(values), key=_place)
        ]
    except RecursionError:
        problems = [{"path": "json_values", "message": "the values are nested too deeply"}]
    if problems:
        raise InvalidValues(problems[:PROBLEMS_MAX])


def list_fields(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that hold one value each, by dotted path, with the schema of each."""
    return dict(_walk_fields(schema, prefix=""))


def _open(schema: dict[str, Any]) -> Validator:
    # An empty registry: a reference never makes us ask another server.
    draft: type[Validator] = _find_draft(schema)
    return draft(schema, format_checker=FormatChecker(), registry=Registry())


def _find_draft(schema: Mapping[str, Any]) -> Any:
    named = schema.get("$schema", _NEWEST)
    draft = DRAFTS.get(named.rstrip("#")) if isinstance(named, str) else None
    if draft is None:
        raise _refuse("$schema", f"it must be absent or one of {', '.join(DRAFTS)}")
    return draft


def _check_type(schema: Mapping[str, Any]) -> None:
    """Values are an object, so a schema that asks for another type could never be met."""
    wanted = schema.get("type", "object")
    if wanted != "object" and not (isinstance(wanted, list) and "object" in wanted):
        raise _refuse("type", f"the values are an object, so it must be 'object', not {wanted!r}")


def _check_hints(schema: Any, *, path: list[str | int]) -> None:
    """`multi` of the properties, wherever they are."""
    if not isinstance(schema, dict):
        return
    multi = schema.get("multi", False)
    rows = multi.get("rows", 1) if isinstance(multi, dict) else 1
    if not isinstance(multi, bool | dict) or not isinstance(rows, int) or rows < 1:
        raise _refuse(
            _name([*path, "multi"]), "it must be true, false, or {'rows': N} with N from 1"
        )
    for keyword in ("properties", "$defs", "definitions"):
        for name, inner in _mapping(schema.get(keyword)).items():
            _check_hints(inner, path=[*path, keyword, name])
    _check_hints(schema.get("items"), path=[*path, "items"])


def _check_references(schema: dict[str, Any]) -> None:
    """Every `$ref` leads somewhere within the schema."""
    specification = DRAFT7 if _find_draft(schema) is Draft7Validator else DRAFT202012
    resolver = Registry[Any]().resolver_with_root(specification.create_resource(schema))
    for path, reference in _walk_references(schema, path=[]):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise _refuse(
                _name(path), f"'{reference}' is nowhere in this schema, and others are not fetched"
            ) from None


def _walk_references(value: Any, *, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk_references(item, path=[*path, index])
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref" and isinstance(item, str):
                yield [*path, name], item
            elif name not in ("const", "default", "enum", "examples"):
                yield from _walk_references(item, path=[*path, name])


def _walk_fields(schema: Mapping[str, Any], *, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in _mapping(schema.get("properties")).items():
        if isinstance(inner, dict):
            if _mapping(inner.get("properties")):
                yield from _walk_fields(inner, prefix=f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", inner


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _explain(error: ValidationError) -> str:
    """The library's sentence, cut where it repeats a large value."""
    return error.message if len(error.message) <= 300 else f"{error.message[:300]}..."


def _refuse(path: str, message: str) -> InvalidRequest:
    name = f"json_schema.{path}" if path else "json_schema"
    return InvalidRequest(f"'{name}' is wrong: {message}.", param=name)


def _name(path: Iterable[str | int], *, root: str = "") -> str:
    """`a.b[0]`."""
    name = root
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _depth(error: ValidationError) -> int:
    """The deepest first: what is said of a property is plainer than what is said of all."""
    return -len(error.absolute_path)


def _place(error: ValidationError) -> list[str]:
    return [str(step) for step in error.absolute_path]
