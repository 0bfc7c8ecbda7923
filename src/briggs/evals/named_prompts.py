"""Named prompts: create and merge their versions, and compare how the calls of each fare."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from briggs.estimates.intervals import Interval
from briggs.estimates.means import MeanDifference, compare_means
from briggs.estimates.prediction import estimate_mean
from briggs.evals.datasets import check_name
from briggs.evals.prompt_sorting import LOOKED_BACK_MAX
from briggs.evals.prompt_versions import find_nearest, read_template, unite
from briggs.evals.prompts import are_shares, read_grades, read_system, write_template
from briggs.storage import FeedbackQuery, Query, Store
from briggs.types.completions import Completion
from briggs.types.errors import Conflict, InvalidRequest, NotFound
from briggs.types.filters import Comparison, Value
from briggs.types.prompts import NamedPrompt, PromptVersion

TEXT_LENGTH_MAX = 200_000
COMPARED_MAX = 1_000
"""So many of the newest calls of a version are compared."""
VERSIONS_COMPARED_MAX = 20
_PAGE = 200
FIGURES = ("cost_usd", "prompt_tokens", "completion_tokens", "duration_ms")
"""The figures of a call that are compared, besides the grades."""


class PromptPost(msgspec.Struct, kw_only=True):
    """A name for a prompt, or the next version of one."""

    name: str
    template: str | None = None
    """Its text, with {1}, {2} ... for what changes."""
    completion_id: str | None = None
    """A call whose text it is."""


class PromptFigure(msgspec.Struct, kw_only=True):
    """The mean of a figure of some calls."""

    mean: float
    interval: Interval | None
    count: int


class PromptVersionFigures(msgspec.Struct, kw_only=True):
    """A version, and how its calls fare."""

    version: int
    template: str
    created_at: int
    """Unix time in microseconds."""
    decided_by: str
    of_version: int | None
    distance: float | None
    calls: int
    looked_at: int
    """Of how many calls, the newest ones, the figures are."""
    first_at: int | None
    """Of those that were looked at."""
    last_at: int | None
    models: dict[str, int]
    figures: dict[str, PromptFigure]
    """By name: `cost_usd`, `completion_tokens`, ..., and `TASK.FIELD` for grades."""


class FigureDifference(msgspec.Struct, kw_only=True):
    """How a figure of a version differs from that of another one."""

    figure: str
    before: int
    """A version."""
    now: int
    difference: float
    interval: Interval | None
    is_clear: bool
    """Whether the interval is on one side of 0."""


class PromptComparison(msgspec.Struct, kw_only=True):
    """Versions of a prompt beside each other."""

    prompt: NamedPrompt
    versions: list[PromptVersionFigures]
    differences: list[FigureDifference]
    """Of each version from the first one."""


async def create_prompt(store: Store, post: PromptPost, *, organization_id: str) -> NamedPrompt:
    """Name a prompt, or give a named one its next version. Raises `InvalidRequest`, `Conflict`."""
    check_name(post.name)
    text = await _read_text(store, post, organization_id=organization_id)
    template = read_template(text)
    if not any(each is not None for each in template):
        raise InvalidRequest("The prompt has no fixed words.", param="template")
    known = await store.prompts.list_versions(organization_id=organization_id)
    near = await asyncio.to_thread(find_nearest, write_template(template)[0], known)
    if near is not None and near.version.template == template:
        named = await store.prompts.find(near.version.prompt_id, organization_id=organization_id)
        said = f"{named.name if named else post.name}@{near.version.version}"
        raise Conflict(f"This is '{said}' already.")
    begin = await store.prompts.find_begin(organization_id=organization_id, most=LOOKED_BACK_MAX)
    prompt = NamedPrompt(organization_id=organization_id, name=post.name, sorted_to=begin)
    version = PromptVersion(
        organization_id=organization_id,
        prompt_id=prompt.id,
        version=0,
        template=template,
        decided_by="person",
    )
    await store.prompts.create(prompt, version)
    return await find_prompt(store, post.name, organization_id=organization_id)


async def find_prompt(store: Store, named: str, *, organization_id: str) -> NamedPrompt:
    """A prompt by its name or id. Raises `NotFound`."""
    found = await store.prompts.find(named, organization_id=organization_id)
    if found is None:
        raise NotFound(f"There is no named prompt '{named[:100]}'.", param="name")
    return found


async def merge_versions(store: Store, prompt: NamedPrompt, *, version: int, into: int) -> None:
    """Make one version of two. What differs in their texts becomes a variable.

    Raises `NotFound`, `InvalidRequest`.
    """
    if version == into:
        raise InvalidRequest("A version cannot be merged into itself.", param="into")
    known = {each.version: each for each in await _list_versions(store, prompt)}
    for wanted in (version, into):
        if wanted not in known:
            raise NotFound(f"The prompt '{prompt.name}' has no version {wanted}.", param="version")
    template = unite(known[into].template, known[version].template)
    if not any(each is not None for each in template):
        raise InvalidRequest("The two versions have no words in common.", param="version")
    await store.prompts.merge(prompt, version=version, into=into, template=template)


async def compare_versions(
    store: Store, prompt: NamedPrompt, *, versions: Sequence[int] = ()
) -> PromptComparison:
    """How the calls of some versions fare, by default of all. Raises `NotFound`."""
    known = {each.version: each for each in await _list_versions(store, prompt)}
    for wanted in versions:
        if wanted not in known:
            raise NotFound(f"The prompt '{prompt.name}' has no version {wanted}.", param="versions")
    chosen = [known[each] for each in dict.fromkeys(versions) or sorted(known)]
    chosen = chosen[-VERSIONS_COMPARED_MAX:]
    counts = await store.prompts.count_calls(prompt)
    read = [await _read_calls(store, prompt, each) for each in chosen]
    return PromptComparison(
        prompt=prompt,
        versions=[
            calls.report(version, count=counts.get(version.version, 0))
            for version, calls in zip(chosen, read, strict=True)
        ],
        differences=[
            found
            for version, calls in zip(chosen[1:], read[1:], strict=True)
            for found in _compare(chosen[0], read[0], version, calls)
        ],
    )


class _Calls:
    """The calls of a version, and their figures."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)
        self.shares: set[str] = set()
        """The figures that are yes or no."""
        self._times: list[int] = []
        self._models: Counter[str] = Counter()

    def add(
        self, completion: Completion, grades: Mapping[tuple[str, str], Sequence[float]]
    ) -> None:
        """Add a call. Several grades of a field count as their mean."""
        self._times.append(completion.created_at)
        self._models[completion.response_model or completion.model] += 1
        for name in FIGURES:
            if (value := getattr(completion, name)) is not None:
                self.values[name].append(value)
        for (task, field), given in grades.items():
            name = f"{task}.{field}"
            if not are_shares(given):
                self.shares.discard(name)
            elif name not in self.values:
                self.shares.add(name)
            self.values[name].append(sum(given) / len(given))

    def report(self, version: PromptVersion, *, count: int) -> PromptVersionFigures:
        """What is known of the version."""
        figures: dict[str, PromptFigure] = {}
        for name, values in self.values.items():
            found = estimate_mean(values, is_share=name in self.shares)
            assert found is not None, "there is at least one value"
            figures[name] = PromptFigure(
                mean=found.mean, interval=found.interval, count=len(values)
            )
        return PromptVersionFigures(
            version=version.version,
            template=write_template(version.template)[0],
            created_at=version.created_at,
            decided_by=version.decided_by,
            of_version=version.of_version,
            distance=version.distance,
            calls=max(count, len(self._times)),
            looked_at=len(self._times),
            first_at=min(self._times, default=None),
            last_at=max(self._times, default=None),
            models=dict(self._models.most_common(20)),
            figures=figures,
        )


async def _list_versions(store: Store, prompt: NamedPrompt) -> Sequence[PromptVersion]:
    return await store.prompts.list_versions(
        organization_id=prompt.organization_id, prompt_id=prompt.id
    )


async def _read_text(store: Store, post: PromptPost, *, organization_id: str) -> str:
    if (post.template is None) == (post.completion_id is None):
        raise InvalidRequest("Give either 'template' or 'completion_id'.", param="template")
    if post.template is not None:
        text, param = post.template, "template"
    else:
        id, param = post.completion_id or "", "completion_id"
        completion = await store.completions.retrieve(id, organization_id=organization_id)
        if completion is None:
            raise NotFound(f"There is no completion '{id[:100]}'.", param=param)
        text = read_system(completion)
    if not text.strip():
        raise InvalidRequest("There is no text: a prompt is a system message.", param=param)
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidRequest(f"The text has more than {TEXT_LENGTH_MAX:,} characters.", param=param)
    return text


async def _read_calls(store: Store, prompt: NamedPrompt, version: PromptVersion) -> _Calls:
    """The newest calls of a version, with their grades."""
    named = f"{prompt.name}@{version.version}"
    query: Query | None = Query(
        organization_id=prompt.organization_id,
        filter=Comparison("prompt", "=", Value(text=named)),
        limit=_PAGE,
        payloads=False,
    )
    about = FeedbackQuery(organization_id=prompt.organization_id, reviews_only=True)
    calls, left = _Calls(), COMPARED_MAX
    while query is not None and left > 0:
        page = await store.completions.list(query)
        some = page.completions[:left]
        left -= len(some)
        feedback = await store.feedback.list_about([each.id for each in some], query=about)
        for each in some:
            calls.add(each, read_grades(feedback.get(each.id, ())))
        more = page.has_more and page.completions
        query = msgspec.structs.replace(query, after=page.completions[-1].id) if more else None
    return calls


def _compare(
    first: PromptVersion, before: _Calls, version: PromptVersion, now: _Calls
) -> list[FigureDifference]:
    found = []
    for name, values in now.values.items():
        is_share = name in before.shares & now.shares
        difference = compare_means(before.values.get(name, ()), values, is_share=is_share)
        if difference is not None:
            found.append(
                FigureDifference(
                    figure=name,
                    before=first.version,
                    now=version.version,
                    difference=difference.difference,
                    interval=difference.interval,
                    is_clear=_is_clear(difference),
                )
            )
    return found


def _is_clear(found: MeanDifference) -> bool:
    ends = found.interval
    return ends is not None and (ends.low > 0 or ends.high < 0)
