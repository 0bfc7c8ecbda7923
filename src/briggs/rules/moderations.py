"""O: what the moderations API answers is a list of results, one for each input.

https://platform.openai.com/docs/api-reference/moderations/object
"""

from __future__ import annotations

from collections.abc import Iterator

from briggs.rules.book import Broken, rule
from briggs.types.any_json import Members, members, number, objects, text


class CheckedModeration:
    """A moderation, with its request if that is known."""

    def __init__(self, value: Members, request: Members | None) -> None:
        self.value = value
        self.request = request or {}

    @property
    def results(self) -> list[tuple[str, Members]]:
        """The results, with their paths."""
        return list(objects(self.value.get("results"), "results"))


@rule(
    "O1", "error", "The answer is an object with an id, a model and a result for each input.",
    on="moderation",
    basis="CreateModerationResponse requires id, model and results. A list of texts has a result "
    "for each; a list of parts has one.",
)  # fmt: skip
def has_results(answer: CheckedModeration) -> Iterator[Broken]:
    for name in ("id", "model"):
        if text(answer.value.get(name)) is None:
            yield Broken(name, "It is not a non-empty string.", answer.value.get(name, ...))
    results = answer.value.get("results", ...)
    if not isinstance(results, list):
        yield Broken("results", "It is not a list.", results)
        return
    for place, each in enumerate(results):
        if not isinstance(each, dict):
            yield Broken(f"results[{place}]", "It is not an object.", each)
    asked = answer.request.get("input")
    is_texts = isinstance(asked, list) and all(isinstance(each, str) for each in asked)
    wanted = len(asked) if is_texts and isinstance(asked, list) else 1
    if answer.request and len(results) != wanted:
        yield Broken("results", f"{wanted} results are due, and {len(results)} came.")


@rule(
    "O2", "error", "Each result says whether it is flagged, and for each category, with a score.",
    on="moderation",
    basis="A result requires flagged, categories (true or false), category_scores (0 to 1) and "
    "category_applied_input_types. It is flagged if any category is.",
)  # fmt: skip
def has_whole_results(answer: CheckedModeration) -> Iterator[Broken]:
    for path, result in answer.results:
        flagged = result.get("flagged", ...)
        if not isinstance(flagged, bool):
            yield Broken(f"{path}.flagged", "It is not true or false.", flagged)
        for name in ("categories", "category_scores"):
            if not isinstance(result.get(name), dict):
                yield Broken(f"{path}.{name}", "It is not an object.", result.get(name, ...))
        categories = members(result.get("categories"))
        scores = members(result.get("category_scores"))
        for name, value in categories.items():
            # Some categories are null where the model has none.
            if value is not None and not isinstance(value, bool):
                yield Broken(f"{path}.categories.{name}", "It is not true or false.", value)
        for name, value in scores.items():
            score = number(value)
            if score is None or not 0 <= score <= 1:
                yield Broken(f"{path}.category_scores.{name}", "It is not from 0 to 1.", value)
        if flagged is False and True in categories.values():
            yield Broken(f"{path}.flagged", "A category is flagged.", flagged, "warning")
        if categories.keys() != scores.keys():
            message = "It has other categories than the scores."
            yield Broken(f"{path}.categories", message, severity="warning")
        if "category_applied_input_types" not in result:
            path = f"{path}.category_applied_input_types"
            yield Broken(path, "It is missing.", severity="warning")
