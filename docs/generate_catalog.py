"""Writes the tables of docs/providers.md. With `--check`, it fails if they are stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from briggs.providers.catalog import CATALOG, Vendor
from briggs.settings import ProviderSettings
from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest
from briggs.wires.base import Wire

PAGE = Path(__file__).with_name("providers.md")

# Wires that pass requests unchanged.
SAME = ("OpenAI", "Azure")
# A current model, for vendors where the model makes a difference.
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-3-pro",
}
ENVIRONMENT = {"AWS_REGION": "us-east-1"}

PNG = "data:image/png;base64,iVBORw0KGgo="
FUNCTION = {"name": "now", "parameters": {"type": "object", "properties": {}}}
TOOLS = {"tools": [{"type": "function", "function": FUNCTION}]}
NAMED = {"type": "function", "function": {"name": "now"}}
SCHEMA = {"name": "a", "schema": {"type": "object", "properties": {}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}


class Probe(NamedTuple):
    """A part of a request to try, and other members that it requires."""

    label: str
    members: dict[str, Any]
    beside: Mapping[str, Any] = MappingProxyType({})


def show(part: dict[str, Any]) -> dict[str, Any]:
    """A user's message with a part that is not text."""
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}


def answer(**members: Any) -> dict[str, Any]:
    """A conversation with an earlier answer."""
    said = {"role": "assistant", "content": "Hello.", **members}
    return {"messages": [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "?"}]}


PROBES = [
    Probe("`max_completion_tokens`, `max_tokens`", {"max_completion_tokens": 7}),
    Probe("`temperature`", {"temperature": 0.5}),
    Probe("`top_p`", {"top_p": 0.5}),
    Probe("`stop`", {"stop": ["."]}),
    Probe("`seed`", {"seed": 1}),
    Probe("`n` above 1", {"n": 2}),
    Probe("`frequency_penalty`, `presence_penalty`", {"frequency_penalty": 0.5}),
    Probe("`logit_bias`", {"logit_bias": {"1": 1}}),
    Probe("`logprobs`", {"logprobs": True}),
    Probe("`top_logprobs`", {"top_logprobs": 2}, {"logprobs": True}),
    Probe("`reasoning_effort`", {"reasoning_effort": "high"}),
    Probe("`verbosity`", {"verbosity": "low"}),
    Probe("`response_format`: `json_object`", {"response_format": {"type": "json_object"}}),
    Probe(
        "`response_format`: `json_schema`",
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    ),
    Probe("`tools`: functions", TOOLS),
    Probe(
        "`strict` functions",
        {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]},
        TOOLS,
    ),
    Probe("`tools`: custom", {"tools": [{"type": "custom", "custom": {"name": "x"}}]}),
    Probe("`tool_choice`: `required`", {"tool_choice": "required"}, TOOLS),
    Probe("`tool_choice`: `none`", {"tool_choice": "none"}, TOOLS),
    Probe("`tool_choice`: a function", {"tool_choice": NAMED}, TOOLS),
    Probe("`parallel_tool_calls`: false", {"parallel_tool_calls": False}, TOOLS),
    Probe("`functions`, `function_call`", {"functions": [FUNCTION]}),
    Probe("`service_tier`: `flex`", {"service_tier": "flex"}),
    Probe("spoken answers (`modalities`, `audio`)", {"modalities": ["text", "audio"]}),
    Probe("`prediction`", {"prediction": {"type": "content", "content": "x"}}),
    Probe("`web_search_options`", {"web_search_options": {}}),
    Probe("`user`, `safety_identifier`", {"user": "u"}),
    Probe("`metadata`", {"metadata": {"k": "v"}}),
    Probe("`prompt_cache_key`", {"prompt_cache_key": "k"}),
    Probe("`store`", {"store": True}),
    Probe("a message's `name`", {"messages": [{"role": "user", "content": "Hi", "name": "Ada"}]}),
    Probe("images as `data:`", show({"type": "image_url", "image_url": {"url": PNG}})),
    Probe("images by address", show({"type": "image_url", "image_url": {"url": "https://a.b/c"}})),
    Probe(
        "`input_audio`",
        show({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    ),
    Probe(
        "files as `file_data`",
        show(
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
            }
        ),
    ),
    Probe("files by `file_id`", show({"type": "file", "file": {"file_id": "file-1"}})),
    Probe("earlier `tool_calls`", answer(tool_calls=[CALL]), answer()),
    Probe("earlier `reasoning_content`, unsigned", answer(reasoning_content="Hm."), answer()),
]


def write_page() -> str:
    """The page with current tables."""
    page = PAGE.read_text("utf-8")
    page = replace(page, "catalog", write_catalog())
    return replace(page, "parameters", write_parameters())


def replace(page: str, name: str, table: str) -> str:
    """The page with the text between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, after = page.partition(begin)[0], page.partition(end)[2]
    return f"{before}{begin}{table}{end}{after}"


def write_catalog() -> str:
    """A line for each vendor."""
    head = "| provider | where | key | wire |\n|---|---|---|---|\n"
    local = "| `local` | a child process on this machine | none | OpenAI |\n"
    return head + "".join(map(write_vendor, CATALOG)) + local


def write_vendor(vendor: Vendor) -> str:
    """A vendor's line."""
    where = vendor.base_url or "your resource"
    key = f"`{vendor.key_variable}`" if vendor.key_variable else "none"
    return f"| `{vendor.name}` | {where} | {key} | {name_wire(vendor)} |\n"


def name_wire(vendor: Vendor) -> str:
    """The name of a vendor's wire, from its class."""
    return type(open_wire(vendor)).__name__.removesuffix("Wire")


def open_wire(vendor: Vendor) -> Wire:
    """A vendor's wire without any settings."""
    return vendor.open_wire(ProviderSettings(kind=vendor.name), environment=ENVIRONMENT)


def write_parameters() -> str:
    """A line for each probe, and a column for each wire that translates."""
    vendors = [vendor for vendor in CATALOG if name_wire(vendor) not in SAME]
    wires = [(open_wire(vendor), MODELS.get(vendor.name, "m")) for vendor in vendors]
    head = "| | " + " | ".join(f"`{vendor.name}`" for vendor in vendors) + " |\n"
    lines = [
        f"| {probe.label} | " + " | ".join(try_out(probe, *wire) for wire in wires) + " |\n"
        for probe in PROBES
    ]
    return head + "|---" * (len(wires) + 1) + "|\n" + "".join(lines)


def try_out(probe: Probe, wire: Wire, model: str) -> str:
    """How a wire sends a probe: `yes`, `no`, `not sent` or `never`."""
    request = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **probe.beside}
    without = wire.encode(open_envelope(json.dumps(request).encode()), model=model)
    try:
        body = json.dumps({**request, **probe.members}).encode()
        encoded = wire.encode(open_envelope(body), model=model)
    except InvalidRequest:
        return "never"
    if encoded.unsupported:
        return "no"
    return "not sent" if encoded.body == without.body else "yes"


if __name__ == "__main__":
    written = write_page()
    if "--check" not in sys.argv:
        PAGE.write_text(written, "utf-8")
    elif PAGE.read_text("utf-8") != written:
        sys.exit("docs/providers.md is stale: run python docs/generate_catalog.py")
