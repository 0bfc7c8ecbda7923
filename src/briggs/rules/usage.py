"""U: the usage counts whole tokens, and they add up."""

from __future__ import annotations

from collections.abc import Iterator

from briggs.rules.answer import CheckedAnswer
from briggs.rules.book import Broken, Severity, also, rule
from briggs.types.any_json import Members, integer, members, number
from briggs.types.usage import PARTS
from briggs.wires.words.usage import translate_words

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
DETAILS = {
    "prompt_tokens_details": "prompt_tokens",
    "completion_tokens_details": "completion_tokens",
}


@rule(
    "U1", "error", "The usage has three whole numbers, and any details are objects.",
    on="response",
    basis="CompletionUsage requires prompt_tokens, completion_tokens and total_tokens, integers; "
    "the details are optional and not nullable.",
    fix="5.0 becomes 5. Details that are null are left out, and so is a usage without counts.",
)  # fmt: skip
def counts_whole_tokens(answer: CheckedAnswer) -> Iterator[Broken]:
    usage = answer.value.get("usage", ...)
    if usage is ... or (usage is None and answer.member == "delta"):
        return
    if not isinstance(usage, dict):
        yield Broken("usage", "It is not an object.", usage)
        return
    for name in COUNTS:
        yield from _check_count(usage, name, "usage")
    for name in DETAILS:
        details = usage.get(name, ...)
        if details is ...:
            continue
        if not isinstance(details, dict):
            yield Broken(f"usage.{name}", "It is not an object: leave it out.", details)
            continue
        for part in details:
            if part in PARTS:
                yield from _check_count(details, part, f"usage.{name}")


also("U1", on="chunk")(counts_whole_tokens)


def _check_count(value: Members, name: str, path: str) -> Iterator[Broken]:
    count = integer(value.get(name))
    if name not in value:
        yield Broken(f"{path}.{name}", "It is missing.")
    elif count is None or count < 0:
        yield Broken(f"{path}.{name}", "It is not a whole number from 0.", value[name])


@rule(
    "U2", "error", "The total is the sum of prompt and completion tokens.",
    on="response",
    basis='CompletionUsage: "Total number of tokens used in the request (prompt + completion)."',
    fix="Set to the sum. Reasoning that was counted separately is added to the completion.",
)  # fmt: skip
def adds_up(answer: CheckedAnswer) -> Iterator[Broken]:
    prompt, completion, total = (number(answer.usage.get(name)) for name in COUNTS)
    if prompt is None or completion is None or total is None:
        return
    if total != prompt + completion:
        yield Broken("usage.total_tokens", f"The sum is {prompt + completion}.", total)


@rule(
    "U3", "error", "No part is greater than the whole.",
    on="response",
    basis="CompletionUsage: the details are breakdowns of tokens used in the prompt and in the "
    "completion. cache_write_tokens may exceed the prompt, so they only get a warning.",
    fix="The part is left out.",
)  # fmt: skip
def parts_fit_the_whole(answer: CheckedAnswer) -> Iterator[Broken]:
    for details_name, whole_name in DETAILS.items():
        details = members(answer.usage.get(details_name))
        whole, path = integer(answer.usage.get(whole_name)), f"usage.{details_name}"
        if whole is None:
            continue
        for name in details:
            part = integer(details[name])
            if name in PARTS and part is not None and part > whole:
                slight: Severity | None = "warning" if name == "cache_write_tokens" else None
                yield Broken(f"{path}.{name}", f"It exceeds {whole_name}: {whole}.", part, slight)
        kinds = [integer(details.get(f"{kind}_tokens")) for kind in ("text", "image", "audio")]
        given = [kind for kind in kinds if kind is not None]
        if details_name == "prompt_tokens_details" and len(given) == 3 and sum(given) != whole:
            yield Broken(path, f"Text, image and audio add up to {sum(given)}, not {whole}.")


@rule(
    "U4", "warning", "Everything that was written is counted.",
    on="response",
    basis='CompletionUsage, completion_tokens: "Number of tokens in the generated completion."',
)  # fmt: skip
def counts_what_was_written(answer: CheckedAnswer) -> Iterator[Broken]:
    tokens = integer(answer.usage.get("completion_tokens"))
    if tokens == 0 and any(choice.has_output for choice in answer.choices):
        yield Broken(
            "usage.completion_tokens", "Something was written, but nothing is counted.", tokens
        )


@rule(
    "U5", "warning", "The usage covers all choices.",
    on="response",
    basis='CreateChatCompletionRequest, n: "you will be charged based on the number of generated '
    'tokens across all of the choices".',
)  # fmt: skip
def counts_all_choices(answer: CheckedAnswer) -> Iterator[Broken]:
    tokens = integer(answer.usage.get("completion_tokens"))
    if not tokens or len(answer.choices) < 2:
        return
    written = max(len(answer.tokens), sum(choice.has_output for choice in answer.choices))
    if tokens < written:
        message = f"At least {written} tokens were written."
        yield Broken("usage.completion_tokens", message, tokens)


@rule(
    "U7", "warning", "The usage uses the specification's names.",
    on="response",
    basis="CompletionUsage has prompt_tokens, completion_tokens and their details. A client that "
    "does not find prompt_tokens_details.cached_tokens takes the whole prompt for new, and "
    "overestimates the cost several times.",
    fix="Counts under other names, such as prompt_cache_hit_tokens, get the right names too.",
)  # fmt: skip
def counts_in_our_words(answer: CheckedAnswer) -> Iterator[Broken]:
    for place, count in translate_words(answer.usage).items():
        yield Broken(f"usage.{place}", f"It is missing, and another member counts {count}.")


also("U7", on="chunk")(counts_in_our_words)
