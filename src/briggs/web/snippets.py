"""A recorded request as a program that sends it again. No secret is part of it."""

from __future__ import annotations

import pprint
from collections.abc import Mapping
from typing import Any

from briggs.types import json
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.texts import printable

BYTES_MAX = 256 * 1024
"""A larger request is not copied. It can be downloaded."""
KEY_VARIABLE = "BRIGGS_API_KEY"

_KNOWN = frozenset(CreateChatCompletionRequest.__struct_fields__)


def write_curl(request: Mapping[str, Any], *, url: str) -> str:
    """A command for a shell. The body has no quote that could end the shell's."""
    body = _write_json(request).replace("'", "\\u0027")
    return (
        f"curl {url}/v1/chat/completions \\\n"
        f'  -H "authorization: Bearer ${KEY_VARIABLE}" \\\n'
        "  -H 'content-type: application/json' \\\n"
        f"  -d '{body}'\n"
    )


def write_python(request: Mapping[str, Any], *, url: str) -> str:
    """A program for OpenAI's Python SDK. What the SDK does not know goes into `extra_body`."""
    known = {name: value for name, value in request.items() if name in _KNOWN}
    extra = {name: value for name, value in request.items() if name not in _KNOWN}
    arguments = known | ({"extra_body": extra} if extra else {})
    lines = "".join(
        f"    {name}={_indent(pprint.pformat(value, width=88, sort_dicts=False))},\n"
        for name, value in arguments.items()
    )
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}/v1", api_key=os.environ["{KEY_VARIABLE}"])\n'
        f"completion = client.chat.completions.create(\n{lines})\n"
        + (
            "for chunk in completion:\n    print(chunk)\n"
            if known.get("stream")
            else "print(completion)\n"
        )
    )


def write_javascript(request: Mapping[str, Any], *, url: str) -> str:
    """A program for OpenAI's JavaScript SDK."""
    shown = (
        "for await (const chunk of completion) console.log(JSON.stringify(chunk));\n"
        if request.get("stream")
        else "console.log(completion);\n"
    )
    return (
        'import OpenAI from "openai";\n\n'
        "const client = new OpenAI({\n"
        f'  baseURL: "{url}/v1",\n'
        f"  apiKey: process.env.{KEY_VARIABLE},\n"
        "});\n"
        f"const completion = await client.chat.completions.create({_write_json(request)});\n"
        f"{shown}"
    )


def _write_json(value: Any) -> str:
    """Indented JSON in which no character steers what shows it."""
    written = json.lay_out(value)
    return "".join(
        f"\\u{ord(each):04x}" if each != "\n" and printable(each) != each else each
        for each in written
    )


def _indent(lines: str) -> str:
    return lines.replace("\n", "\n    ")
