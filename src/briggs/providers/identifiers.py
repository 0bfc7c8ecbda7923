"""Names and ids as a vendor takes them: rewritten where it refuses them, and always unique."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from briggs.providers.requests import list_objects
from briggs.types import tools
from briggs.types.envelope import Envelope
from briggs.types.request import CreateChatCompletionRequest

Fit = Callable[[str, bool], str]
"""A text as the vendor takes it. If the flag is set, it differs for any two texts."""

_DIGEST_LENGTH = 16


def fit_to(characters: str, *, length_max: int, first: str | None = None) -> Fit:
    """A `Fit` for texts of these characters, as in a regular expression's `[...]`."""
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
    """The `Fit` of vendors who take any id that is not empty."""
    return text if text and not unique else f"{text}_{digest(text).hex()[:_DIGEST_LENGTH]}"


def digest(text: str) -> bytes:
    """The same for the same text, and for no other."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Identifiers:
    """The texts of one request, each with the one that stands for it.

    They depend on the order of the texts only, so a conversation that goes on keeps its own.
    """

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._rewritten: dict[str, str] = {}
        self._taken: set[str] = set()
        self._times: dict[str, int] = {}

    def rewrite(self, text: str) -> str:
        """The text that stands for `text`, the same each time."""
        if text not in self._rewritten:
            self._rewritten[text] = self._take(text)
        return self._rewritten[text]

    def rewrite_next(self, text: str) -> str:
        """The text that stands for the next thing of this name: another one each time."""
        times = self._times[text] = self._times.get(text, 0) + 1
        return self._take(text if times == 1 else f"{text}#{times}")

    def _take(self, text: str) -> str:
        found = self._fit(text, False)
        while found in self._taken:
            found = text = self._fit(text, True)
        self._taken.add(found)
        return found


def rename_tools(request: CreateChatCompletionRequest, fit: Fit) -> Identifiers:
    """Give the functions of a request names that the vendor takes, and return all of these."""
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
    """The functions of a request whose names its vendor refuses, by the names that it was told."""
    names = Identifiers(fit)
    rewritten = {names.rewrite(name): name for name in _list_names(envelope.values)}
    return {fitted: name for fitted, name in rewritten.items() if fitted != name}


def _list_names(values: Mapping[str, Any]) -> Iterable[str]:
    for tool in list_objects(values, "tools"):
        match tool:
            case {"type": "function", "function": {"name": str(name)}}:
                yield name
