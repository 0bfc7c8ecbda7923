"""Reads JSON into typed objects, and writes them back without losing anything."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import Any, NoReturn, Self, TypeVar, overload

import msgspec
from msgspec import UNSET

T = TypeVar("T")
AnyObject = TypeVar("AnyObject", bound="Object")


class Object(msgspec.Struct, kw_only=True, dict=True):
    """A JSON object. Its fields are those of the specification, and `extra` has all others.

    An absent member is `UNSET`, and null is None. (A required member that may be null is None by
    default.) `encode` writes members in the order in which `decode` read them. A plain
    `msgspec.json.Decoder` also reads the fields, but loses `extra` and the order.
    """

    @cached_property
    def extra(self) -> dict[str, Any]:
        """Members that are not in the specification, as plain JSON. It may be edited."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles must keep `extra` and the order too.
        return _rebuild, (type(self), msgspec.structs.asdict(self), dict(self.__dict__))

    def __copy__(self) -> Self:
        return _rebuild(type(self), msgspec.structs.asdict(self), self.__dict__)


class Unknown(Object):
    """An object whose `type` or `role` is not in the specification, kept unchanged."""

    members: dict[str, Any]


@overload
def decode(data: bytes | str) -> Any: ...
@overload
def decode(data: bytes | str, type: type[T]) -> T: ...
def decode(data: bytes | str, type: Any = Any) -> Any:
    """Read JSON (RFC 8259) as a value of `type`, without losing anything.

    For invalid JSON, including NaN and Infinity, raises `msgspec.DecodeError` with the position.
    For a value of the wrong type, raises `msgspec.ValidationError` with the path.
    """
    raw = _parse(data)
    return raw if type is Any else from_builtins(raw, type)


def check(data: bytes) -> None:
    """Raise `msgspec.DecodeError` for invalid JSON. It builds no value, so it is fast."""
    # An escaped half of a surrogate pair is legal JSON, but msgspec rejects it.
    whole = data.replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0")
    try:
        data.decode()
        msgspec.json.decode(whole, type=msgspec.Raw)
    except UnicodeDecodeError as error:
        raise _malformed("invalid UTF-8", error.start) from None
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deeply") from None


def encode(value: Any) -> bytes:
    """Write a value as compact JSON, with unknown members, key order and lone surrogates."""
    return encode_plain(to_builtins(value))


def encode_plain(raw: Any) -> bytes:
    """Like `encode`, but faster, for a value that contains no `Object`."""
    try:
        return msgspec.json.encode(raw)
    except UnicodeEncodeError:
        return _encode_surrogates(raw)
    except RecursionError:
        with _deep_stack():
            return encode_plain(raw)


def lay_out(raw: Any, *, indent: int | None = 2, sort_keys: bool = False) -> str:
    """Builtins as JSON for people, on one line without `indent`. It may have lone surrogates."""
    try:
        return json.dumps(raw, indent=indent, sort_keys=sort_keys, ensure_ascii=False)
    except RecursionError:
        with _deep_stack():
            return json.dumps(raw, indent=indent, sort_keys=sort_keys, ensure_ascii=False)


def from_builtins(raw: Any, type: type[T]) -> T:
    """Like `decode`, for JSON that is already dicts and lists."""
    fill = _filler(type)  # type: ignore[arg-type]
    try:
        value = msgspec.convert(raw if fill is None else fill(raw), type)
    except UnicodeEncodeError:
        # To read a text as another type, such as an enum, msgspec needs it in UTF-8.
        raise msgspec.ValidationError("Expected text without a lone surrogate") from None
    _attach(value, raw)
    return value


def to_builtins(value: Any) -> Any:
    """A value as the dicts, lists and scalars that `encode` writes."""
    try:
        return _to_builtins(value)
    except RecursionError:
        with _deep_stack():
            return _to_builtins(value)


def _to_builtins(value: Any) -> Any:
    if isinstance(value, Object):
        return value.members if isinstance(value, Unknown) else _members(value)
    if isinstance(value, list):
        return [_to_builtins(item) if isinstance(item, _NESTED) else item for item in value]
    if isinstance(value, dict):
        return {
            key: _to_builtins(item) if isinstance(item, _NESTED) else item
            for key, item in value.items()
        }
    return value


def _encode_surrogates(raw: Any) -> bytes:
    """Lone surrogates have no UTF-8. In JSON they must be escapes."""
    plain = msgspec.to_builtins(raw, enc_hook=_decode_raw)
    return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode("ascii")


def _decode_raw(value: Any) -> Any:
    assert isinstance(value, msgspec.Raw), "plain JSON holds nothing else that is not plain"
    return _parse(bytes(value))


@contextlib.contextmanager
def _deep_stack() -> Iterator[None]:
    """Make room on the stack to write a value that could be read.

    Reading allows about a thousand levels. Writing needs several frames for each, and one value
    that cannot be written breaks every list that contains it.
    """
    with _STACK_LOCK:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(max(usual, _STACK_FRAMES))
        try:
            yield
        finally:
            sys.setrecursionlimit(usual)


_STACK_LOCK = threading.RLock()
_STACK_FRAMES = 8_000
_NESTED = (Object, list, dict)
_PLAIN = (list, dict)


def _rebuild(cls: type[AnyObject], fields: dict[str, Any], rest: dict[str, Any]) -> AnyObject:
    value = cls(**fields)
    value.__dict__.update(rest)
    return value


def _parse(data: bytes | str) -> Any:
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deeply") from None
    except UnicodeError:
        return _parse_with_surrogates(bytes(data) if isinstance(data, msgspec.Raw) else data)
    except msgspec.DecodeError:
        # msgspec rejects a lone "\ud83d", which JSON allows and split streams contain.
        data = bytes(data) if isinstance(data, msgspec.Raw) else data
        if not _has_surrogates(data):
            raise
        return _parse_with_surrogates(data)


def _parse_with_surrogates(data: bytes | str) -> Any:
    """Read with the standard library, which accepts lone surrogates. NaN is still rejected."""
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_float)
    except UnicodeDecodeError as error:
        raise _malformed("invalid UTF-8", error.start) from None
    except json.JSONDecodeError as error:
        before = text[: error.pos].encode("utf-8", "surrogatepass")
        raise _malformed(error.msg, len(before)) from None
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deeply") from None
    except ValueError as error:
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from None


def _has_surrogates(data: bytes | str) -> bool:
    if isinstance(data, bytes):
        return b"\\ud" in data.lower()
    return "\\ud" in data.lower()


def _malformed(reason: str, position: int) -> msgspec.DecodeError:
    return msgspec.DecodeError(f"JSON is malformed: {reason} (byte {position})")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("Number out of range")
    return number


@cache
def _layout(cls: type[Object]) -> tuple[str | None, Any, dict[str, Any]]:
    """The member that holds the tag, the tag, and the fields with their defaults."""
    config = cls.__struct_config__
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls)}
    return config.tag_field, config.tag, defaults


def _members(value: Object) -> dict[str, Any]:
    """The members of an object: those that were read, in their order, then new ones."""
    tag_field, tag, defaults = _layout(type(value))
    order: tuple[str, ...] | None = value.__dict__.get("_order")
    members: dict[str, Any] = {} if tag_field is None else {tag_field: tag}
    for name, default in defaults.items():
        item = getattr(value, name)
        # A field that was absent and still has its default is still absent.
        still_absent = order is not None and name not in order and item == default
        if item is not UNSET and not still_absent:
            members[name] = _to_builtins(item) if isinstance(item, _NESTED) else item
    for name, item in value.__dict__.get("extra", {}).items():
        members.setdefault(name, _to_builtins(item))
    if order is None:
        return members
    return {name: members[name] for name in order if name in members} | members


def _attach(value: Any, raw: Any) -> None:
    """Give every object in `value` its unknown members and the order of its members."""
    if value is raw:
        # Plain JSON of the type `Any` is already complete.
        return
    if isinstance(value, Object):
        if isinstance(raw, dict):
            _attach_object(value, raw)
    elif isinstance(value, list):
        for item, raw_item in zip(value, raw, strict=True):
            if isinstance(item, _NESTED):
                _attach(item, raw_item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, _NESTED):
                _attach(item, raw[key])


def _attach_object(value: Object, raw: dict[str, Any]) -> None:
    if isinstance(value, Unknown):
        return
    tag_field, _, defaults = _layout(type(value))
    value.__dict__["_order"] = tuple(raw)
    extra = {name: item for name, item in raw.items() if name not in defaults}
    extra.pop(tag_field, None)  # type: ignore[arg-type]
    if extra:
        value.extra = extra
    for name, raw_item in raw.items():
        if isinstance(raw_item, _PLAIN) and name in defaults:
            _attach(getattr(value, name), raw_item)


Filler = Callable[[Any], Any]


@cache
def _filler(type: Any) -> Filler | None:
    """A function that replaces objects with an `Unknown` if the union in `type` lacks their tag."""
    return _filler_of(msgspec.inspect.type_info(type))


def _filler_of(info: msgspec.inspect.Type) -> Filler | None:
    match info:
        case msgspec.inspect.ListType(item_type=item):
            return _list_filler(_filler_of(item))
        case msgspec.inspect.StructType(fields=fields):
            fillers = {field.name: _filler_of(field.type) for field in fields}
            return _object_filler({name: fill for name, fill in fillers.items() if fill})
        case msgspec.inspect.UnionType(types=types):
            return _union_filler(types)
    return None


def _list_filler(fill: Filler | None) -> Filler | None:
    if fill is None:
        return None
    return lambda raw: [fill(item) for item in raw] if isinstance(raw, list) else raw


def _object_filler(fillers: dict[str, Filler]) -> Filler | None:
    if not fillers:
        return None

    def fill(raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return raw | {name: fill(raw[name]) for name, fill in fillers.items() if name in raw}

    return fill


def _union_filler(types: tuple[msgspec.inspect.Type, ...]) -> Filler | None:
    structs = [info for info in types if isinstance(info, msgspec.inspect.StructType)]
    fill_object = _tag_filler(structs) if len(structs) > 1 else None
    others = [_filler_of(info) for info in types if len(structs) == 1 or info not in structs]
    fill_other = next((fill for fill in others if fill), None)
    if fill_object is None or fill_other is None:
        return fill_object or fill_other
    return lambda raw: fill_object(raw) if isinstance(raw, dict) else fill_other(raw)


def _tag_filler(structs: list[msgspec.inspect.StructType]) -> Filler | None:
    unknown = next((info.cls for info in structs if issubclass(info.cls, Unknown)), None)
    if unknown is None:
        return None
    tag_field = structs[0].tag_field
    fillers = {info.tag: _filler_of(info) for info in structs if info.cls is not unknown}

    def fill(raw: Any) -> Any:
        tag = raw.get(tag_field) if isinstance(raw, dict) else None
        if not isinstance(tag, str):
            return raw
        if tag not in fillers:
            return unknown(members=raw)
        fill_known = fillers[tag]
        return fill_known(raw) if fill_known else raw

    return fill
