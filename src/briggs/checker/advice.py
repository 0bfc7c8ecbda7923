"""What to set on a recognised server, or which version to run, so that it keeps the rules."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from briggs.checker import expectations
from briggs.checker.servers import Software
from briggs.rules import Finding

REFUSED = "refused"
"""Used in place of a rule if an endpoint refuses the request of a probe."""
_PROBE = expectations.PROBE


class Advice(NamedTuple):
    """Advice about some findings for one server."""

    server: str
    rules: tuple[str, ...]
    text: str
    says: str = ""
    """What the message contains, in lower case; empty for any message."""
    probes: tuple[str, ...] = ()
    """The probes that it is about; empty for all."""


_TOOLS = (
    "tools-auto",
    "tools-required",
    "stream-tools",
    "tools-named",
    "tools-single",
    "tools-told",
)
_JSON = ("json-object", "json-schema")
_LOGPROBS = ("logprobs", "characters")

ADVICE = (
    Advice(
        "vLLM",
        (REFUSED, _PROBE, "M10", "S11", "M7"),
        "Start vLLM with --enable-auto-tool-choice and the --tool-call-parser of the model.",
        probes=_TOOLS,
    ),
    Advice("vLLM", (REFUSED,), "Raise --max-logprobs.", probes=_LOGPROBS),
    Advice("vLLM", ("S8", "S9"), "Start vLLM without --enable-force-include-usage."),
    Advice("vLLM", ("L13",), "Start vLLM without --return-tokens-as-token-ids."),
    Advice("vLLM", ("L9", "L10"), "Set --logprobs-mode to raw_logprobs."),
    Advice("vLLM", ("L3", "J1"), "Update vLLM: old versions can send NaN."),
    Advice("vLLM", ("E4",), "Name the model with --served-model-name."),
    Advice(
        "vLLM",
        (_PROBE,),
        "Update vLLM, for max_completion_tokens.",
        says="max_tokens",
    ),
    Advice(
        "llama.cpp",
        (REFUSED, _PROBE, "M10", "H2"),
        "Start llama-server with --jinja, the default since December 2025, and give it a chat "
        "template that has tools: --chat-template-file FILE.",
        says="jinja",
    ),
    Advice(
        "llama.cpp",
        ("M10", _PROBE, "M7", "S11"),
        "Use a model whose chat template has tools, or set one: --chat-template-file FILE.",
        probes=_TOOLS,
    ),
    Advice("llama.cpp", ("S9",), "Update llama.cpp: builds since August 2025 send none unasked."),
    Advice(
        "llama.cpp", ("S2",), "Update llama.cpp: old builds send errors in a field of their own."
    ),
    Advice("llama.cpp", ("L13",), "Ask without post_sampling_probs."),
    Advice(
        "llama.cpp",
        ("E4", _PROBE),
        "llama-server answers for any model name. Set the right one with --alias NAME.",
        probes=("unknown-model",),
    ),
    Advice("llama.cpp", (REFUSED,), "Raise --parallel.", probes=("n", "stream-n")),
    Advice("llama.cpp", (REFUSED,), "Raise --ctx-size.", says="context"),
    Advice(
        "Ollama",
        ("M10", _PROBE),
        "Ollama ignores tool_choice. Use a model that calls tools by itself.",
        probes=_TOOLS,
    ),
    Advice(
        "Ollama",
        (REFUSED,),
        "Use a model with tools: `ollama show MODEL` lists its capabilities.",
        probes=_TOOLS,
    ),
    Advice("Ollama", ("C1",), "Ollama ignores n. Ask for one choice at a time."),
    Advice("Ollama", ("L1",), "Update Ollama: log probabilities need 0.12.11."),
    Advice("Ollama", ("S10",), "Update Ollama: old versions number every streamed call 0."),
    Advice("Ollama", ("C5",), "Raise OLLAMA_CONTEXT_LENGTH: long prompts are cut off silently."),
    Advice(
        "SGLang",
        (REFUSED, _PROBE, "M10", "S11", "M7"),
        "Start SGLang with the --tool-call-parser of the model.",
        probes=_TOOLS,
    ),
    Advice("SGLang", (REFUSED, "M11"), "Set --grammar-backend to xgrammar.", probes=_JSON),
    Advice("SGLang", ("J1", "L3"), "Update SGLang: old versions send NaN."),
    Advice(
        "LM Studio",
        (REFUSED,),
        "LM Studio takes json_schema, not json_object: send a schema.",
        probes=("json-object",),
    ),
    Advice(
        "LM Studio",
        ("M10", _PROBE),
        "Load a model that LM Studio marks with a hammer: it is trained for tools.",
        probes=_TOOLS,
    ),
    Advice("TGI", (REFUSED,), "Raise --max-top-n-tokens.", probes=_LOGPROBS),
    Advice("TGI", (REFUSED,), "Start TGI without --disable-grammar-support.", probes=_JSON),
    Advice("LiteLLM", (REFUSED,), "Set drop_params: true to leave out what a vendor lacks."),
    Advice("Briggs", (REFUSED,), "The model behind Briggs cannot do this: see docs/providers.md."),
)
"""The first entry that matches a finding applies."""

_GENERAL = {
    "TGI": "TGI is in maintenance. Move to vLLM or SGLang, or put Briggs in front of it.",
    "LiteLLM": "Try the newest LiteLLM, or let Briggs talk to the server behind it.",
    "Briggs": "Update Briggs. If the newest one also breaks the rule, please report it.",
}


def find_advice(
    server: Software | None, finding: Finding, *, probes: Collection[str]
) -> str | None:
    """What to do about a finding of these probes; None for an unknown server."""
    if server is None:
        return None
    special = _find_special(server, finding.rule, finding.message, probes)
    return (
        special
        or _GENERAL.get(server.name)
        or (
            f"Briggs knows of no setting of {server.name} for this. Try its newest version, or put "
            "Briggs in front of it."
        )
    )


def advise_on_refusal(
    server: Software | None, reason: str, *, probes: Collection[str]
) -> str | None:
    """What to do so that a server does not refuse what these probes ask for; None if unknown."""
    return None if server is None else _find_special(server, REFUSED, reason, probes)


def _find_special(server: Software, rule: str, message: str, probes: Collection[str]) -> str | None:
    said = message.lower()
    return next(
        (
            advice.text
            for advice in ADVICE
            if advice.server == server.name
            and rule in advice.rules
            and advice.says in said
            and not (advice.probes and set(advice.probes).isdisjoint(probes))
        ),
        None,
    )
