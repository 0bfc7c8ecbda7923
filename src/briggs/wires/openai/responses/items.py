"""Input items, from a request for a response to the messages of a chat completion.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

from typing import Any

from briggs.types.any_json import Members, list_objects, members, text
from briggs.types.errors import InvalidRequest
from briggs.wires.openai.responses.tools import refuse_hosted, refuse_unread

ResponseItem = dict[str, Any]

EXPRESSIBLE = frozenset(
    {
        *("custom_tool_call", "custom_tool_call_output", "function_call"),
        *("function_call_output", "message", "reasoning"),
    }
)
"""The kinds of items that a chat completion can say."""
_OR_ELSE = "or use a provider that speaks /v1/responses."
_IN_PLACE_OF_INPUT = ("conversation", "instructions", "previous_response_id", "prompt")
_ROLES = ("user", "system", "developer")


def is_expressible(item: Any) -> bool:
    """Whether a chat completion can say an item of this kind."""
    return find_kind(members(item)) in EXPRESSIBLE


def find_kind(item: ResponseItem) -> str:
    """The kind of an item. That of messages and of references may be left out."""
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    return kind if isinstance(kind, str) else ""


class InputReader:
    """The messages of a request, and the first item that no message can express.

    An assistant's items up to those of another speaker are one message.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self.refusal: InvalidRequest | None = None
        self.messages: list[Members] = []
        self._turn: Members | None = None
        """The assistant's message that is being written."""
        if asked.get("instructions"):
            self._say({"role": "system", "content": asked["instructions"]})
        given = asked.get("input")
        if isinstance(given, str):
            self._say({"role": "user", "content": given})
        for place, item in enumerate(given if isinstance(given, list) else ()):
            try:
                self._read(item, f"input[{place}]")
            except InvalidRequest as error:
                self.refusal = self.refusal or error
        self._end_turn()
        if not given and not any(asked.get(name) for name in _IN_PLACE_OF_INPUT):
            raise InvalidRequest("The member 'input' is required.", param="input")
        if not self.messages:
            # The vendor who runs the tools knows what else there is to answer.
            self._say({"role": "user", "content": ""})

    def _read(self, item: ResponseItem, path: str) -> None:
        match find_kind(item):
            case "message":
                self._read_message(item, path)
            case "function_call":
                function = {"name": _require(item, "name", path), "arguments": _spell(item)}
                self._call(item, path, type="function", function=function)
            case "custom_tool_call":
                custom = {
                    "name": _require(item, "name", path),
                    "input": text(item.get("input")) or "",
                }
                self._call(item, path, type="custom", custom=custom)
            case "function_call_output" | "custom_tool_call_output":
                content = self._read_content(item.get("output"), f"{path}.output")
                id = _require(item, "call_id", path)
                self._say({"role": "tool", "tool_call_id": id, "content": content})
            case "reasoning":
                self._read_reasoning(item)
            case "item_reference":
                raise refuse_unread(f"{path}.id", "send the item itself.")
            case kind:
                raise refuse_hosted(kind, f"{path}.type")

    def _read_message(self, item: ResponseItem, path: str) -> None:
        content = self._read_content(item.get("content"), f"{path}.content")
        role = item.get("role")
        if role == "assistant":
            self._answer(content)
        elif role in _ROLES:
            self._say({"role": role, "content": content})
        else:
            raise refuse_unread(
                f"{path}.role", "it must be one of user, assistant, system, developer."
            )

    def _read_content(self, content: Any, path: str) -> str | list[Members]:
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            raise refuse_unread(path, "it must be a text or a list of parts.")
        parts = [_read_part(members(part), f"{path}[{at}]") for at, part in enumerate(content)]
        if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
            # Every vendor accepts a text, and not all accept parts.
            return str(parts[0]["text"])
        return parts

    def _read_reasoning(self, item: ResponseItem) -> None:
        """Keep the reasoning that can be read. What is encrypted only its vendor can read."""
        parts = list_objects(item.get("content"))
        if thought := "".join(text(part.get("text")) or "" for part in parts):
            turn = self._open_turn()
            turn["reasoning_content"] = turn.get("reasoning_content", "") + thought

    def _answer(self, content: str | list[Members]) -> None:
        if isinstance(content, list):
            refusals = [part["refusal"] for part in content if part["type"] == "refusal"]
            texts = [str(part.get("text", "")) for part in content if part["type"] == "text"]
            refusal, content = "".join(refusals), "".join(texts)
        else:
            refusal = ""
        turn = self._open_turn()
        if turn.get("content") is not None and "tool_calls" not in turn:
            turn = self._open_turn(anew=True)
        said = "\n".join(filter(None, (turn.get("content"), content)))
        turn["content"] = said if said or not refusal else None
        if refusal:
            turn["refusal"] = refusal

    def _call(self, item: ResponseItem, path: str, **call: Any) -> None:
        turn = self._open_turn()
        turn.setdefault("content", None)
        turn.setdefault("tool_calls", []).append({"id": _require(item, "call_id", path), **call})

    def _say(self, message: Members) -> None:
        self._end_turn()
        self.messages.append(message)

    def _open_turn(self, *, anew: bool = False) -> Members:
        if anew:
            self._end_turn()
        if self._turn is None:
            self._turn = {"role": "assistant"}
        return self._turn

    def _end_turn(self) -> None:
        # Reasoning without anything after it says nothing to the next model.
        if self._turn is not None and "content" in self._turn:
            self.messages.append(self._turn)
        self._turn = None


def _read_part(part: dict[str, Any], path: str) -> Members:
    kept = {name: part[name] for name in ("prompt_cache_breakpoint",) if part.get(name)}
    match part:
        case {"type": "input_text" | "output_text", "text": str(said)}:
            return {"type": "text", "text": said, **kept}
        case {"type": "refusal", "refusal": str(said)}:
            return {"type": "refusal", "refusal": said}
        case {"type": "input_image", "image_url": str(url)}:
            image = {"url": url, **_pick(part, "detail")}
            return {"type": "image_url", "image_url": image, **kept}
        case {"type": "input_file", "file_url": str()}:
            raise refuse_unread(f"{path}.file_url", f"send its 'file_data', {_OR_ELSE}")
        case {"type": "input_file"}:
            file = _pick(part, "file_data", "file_id", "filename")
            return {"type": "file", "file": file, **kept}
        case {"type": "input_image", "file_id": str()}:
            raise refuse_unread(f"{path}.file_id", f"send its 'image_url', {_OR_ELSE}")
        case {"type": "input_audio", "input_audio": dict(audio)}:
            return {"type": "input_audio", "input_audio": audio}
    raise refuse_unread(
        f"{path}.type",
        "a part must be an input_text, input_image, input_file, input_audio, output_text or "
        "refusal, with its content.",
    )


def _pick(part: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: part[name] for name in names if part.get(name) is not None}


def _require(item: ResponseItem, name: str, path: str) -> str:
    if value := text(item.get(name)):
        return value
    raise refuse_unread(f"{path}.{name}", "it must be a text that is not empty.")


def _spell(item: ResponseItem) -> str:
    arguments = item.get("arguments")
    return arguments if isinstance(arguments, str) else "{}"
