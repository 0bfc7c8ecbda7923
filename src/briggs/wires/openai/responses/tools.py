"""Tools and the choice of one, from a request for a response to one for a chat completion."""

from __future__ import annotations

from typing import Any

from briggs.types.errors import InvalidRequest, UnsupportedParameter

_SHOWN_CHARACTERS_MAX = 100
_FUNCTION = ("name", "description", "parameters", "strict")


def read_tools(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tools that the caller runs. Raises `InvalidRequest` for one that a vendor runs."""
    return [_read_tool(tool, f"tools[{place}]") for place, tool in enumerate(tools)]


def read_choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    """`tool_choice`. Raises `InvalidRequest` for a tool that a vendor runs."""
    match choice:
        case str():
            return choice
        case {"type": "allowed_tools", "tools": list(tools), "mode": mode}:
            named = [_name(tool, f"tool_choice.tools[{at}]") for at, tool in enumerate(tools)]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}
        case {"type": "allowed_tools"}:
            missing = "mode" if isinstance(choice.get("tools"), list) else "tools"
            reason = "'allowed_tools' has a list of 'tools', and a 'mode': auto or required."
            raise refuse_unread(f"tool_choice.{missing}", reason)
    return _name(choice, "tool_choice")


def refuse_unread(path: str, reason: str) -> InvalidRequest:
    """The error for what a chat completion cannot say, to be put after a provider's name."""
    return UnsupportedParameter(f"cannot read '{path}': {reason}", param=path)


def refuse_hosted(kind: Any, path: str) -> InvalidRequest:
    """The error for a tool that only a vendor of this format runs."""
    shown = str(kind)[:_SHOWN_CHARACTERS_MAX]
    return UnsupportedParameter(
        f"does not run '{shown}' ('{path}'): leave it out, or use a provider that speaks "
        "/v1/responses.",
        param=path,
    )


def _read_tool(tool: dict[str, Any], path: str) -> dict[str, Any]:
    match tool.get("type"):
        case "function":
            given = {name: tool[name] for name in _FUNCTION if tool.get(name) is not None}
            return {"type": "function", "function": given}
        case "custom":
            given = {name: tool[name] for name in ("name", "description") if tool.get(name)}
            if format := tool.get("format"):
                given["format"] = _read_format(format)
            return {"type": "custom", "custom": given}
        case kind:
            raise refuse_hosted(kind, path)


def _read_format(format: Any) -> Any:
    match format:
        case {"type": "grammar", **grammar}:
            return {"type": "grammar", "grammar": grammar}
    return format


def _name(tool: Any, path: str) -> dict[str, Any]:
    match tool:
        case {"type": "function" | "custom" as kind, "name": str(name)}:
            return {"type": kind, kind: {"name": name}}
        case {"type": str(kind)} if kind not in ("function", "custom"):
            raise refuse_hosted(kind, path)
    raise refuse_unread(path, "a tool has a type and a name.")
