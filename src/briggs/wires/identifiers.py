"""Rewrites names and ids that a vendor would refuse, and keeps them unique."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from briggs.types import tools
from briggs.types.envelope import Envelope
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.requests import list_objects

Fit = Callable[[str, bool], str]
"""Makes a text acceptable to a vendor. With the flag set, any two texts stay different."""

_DIGEST_LENGTH = 16


def fit_to(characters: str, *, length_max: int, first: str | None = None) -> Fit:
    """A `Fit` for texts of these characters, written as in a regular expression's `[...]`."""
    taken = re.compile(f"[{first or characters}][{characters}]{{0,{length_max - 1}}}")
    refused = re.compile(f"[^{characters}]")

    def fit(text: str, unique: bool) -> str:
        if not unique and taken.fullmatch(text):
            return text
        cleaned = refused.sub("_", text)
        if not unique and taken.fullmatch(cleaned):
            return cleaned
        cleaned = f"_{cleaned}" if first and not re.match(f"[{first}]", cleaned) else cleaned
        return f"{cleaned[: length_max - _DIGEST_LENGTH - 1]}_{digest(text).hex()[:_DIGEST_LENGTH]}"

    return fit


def keep_id(text: str, unique: bool) -> str:
    """The `Fit` of vendors that accept any id that is not empty."""
    return text if text and not unique else f"{text}_{digest(text).hex()[:_DIGEST_LENGTH]}"


def digest(text: str) -> bytes:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Identifiers:
    """Maps the texts of one request to the ones that the vendor gets.

    The mapping depends only on the order of the texts, so it stays the same as a conversation
    continues.
    """

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._rewritten: dict[str, str] = {}
        self._taken: set[str] = set()
        self._times: dict[str, int] = {}

    def rewrite(self, text: str) -> str:
        """The replacement for `text`, the same each time."""
        if text not in self._rewritten:
            self._rewritten[text] = self._take(text)
        return self._rewritten[text]

    def rewrite_next(self, text: str) -> str:
        """A replacement for `text` that differs each time: the next thing with this name."""
        times = self._times[text] = self._times.get(text, 0) + 1
        return self._take(text if times == 1 else f"{text}#{times}")

    def _take(self, text: str) -> str:
        found = self._fit(text, False)
        while found in self._taken:
            found = text = self._fit(text, True)
        self._taken.add(found)
        return found


def rename_tools(request: CreateChatCompletionRequest, fit: Fit) -> Identifiers:
    """Rename a request's functions to names that the vendor accepts, and return the mapping."""
    names = Identifiers(fit)
    for tool in request.tools or ():
        if isinstance(tool, tools.ChatCompletionTool):
            tool.function.name = names.rewrite(tool.function.name)
    match request.tool_choice:
        case tools.ChatCompletionNamedToolChoice(function=function):
            function.name = names.rewrite(function.name)
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            for choice in list_objects({"tools": allowed.tools}, "tools"):
                match choice:
                    case {"function": {"name": str(name)} as function}:
                        function["name"] = names.rewrite(name)
    return names


def find_original_names(envelope: Envelope, fit: Fit) -> Mapping[str, str]:
    """The caller's names of the functions that were renamed, by the names that the vendor got."""
    names = Identifiers(fit)
    rewritten = {names.rewrite(name): name for name in _list_names(envelope.values)}
    return {fitted: name for fitted, name in rewritten.items() if fitted != name}


def _list_names(values: Mapping[str, Any]) -> Iterable[str]:
    for tool in list_objects(values, "tools"):
        match tool:
            case {"type": "function", "function": {"name": str(name)}}:
                yield name
