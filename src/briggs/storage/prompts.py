"""Stores named prompts with their versions, and which calls have which of them."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.database import database_of
from briggs.storage.tables import completions, prompt_completions, prompt_versions, prompts
from briggs.storage.types import AnyText
from briggs.types.completions import Completion
from briggs.types.errors import Conflict
from briggs.types.prompts import (
    PROMPTS_MAX,
    VERSIONS_MAX,
    NamedPrompt,
    PromptPlace,
    PromptVersion,
    Template,
)

_COUNTED_MAX = 100_000
"""So many calls of a version are counted."""


class SortedCall(NamedTuple):
    """A call, and the version that it has."""

    created_at: int
    completion_id: str
    place: PromptPlace


class Prompts:
    """`store.prompts`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(self, *, organization_id: str | None) -> Sequence[NamedPrompt]:
        """The prompts of an organization, by name. None for those of all organizations."""
        statement = select(prompts).order_by(prompts.c.organization_id, prompts.c.name)
        if organization_id is not None:
            statement = statement.where(prompts.c.organization_id == organization_id)
        return await self._access.read(
            lambda connection: [
                rows.decode(row, NamedPrompt) for row in connection.execute(statement)
            ]
        )

    async def find(self, named: str, *, organization_id: str) -> NamedPrompt | None:
        """A prompt by its name or its id."""
        return await self._access.read(
            lambda connection: _find(connection, named, organization_id=organization_id)
        )

    async def list_versions(
        self, *, organization_id: str, prompt_id: str | None = None
    ) -> Sequence[PromptVersion]:
        """The versions of a prompt, the oldest first. Without an id, those of all prompts."""
        columns = prompt_versions.c
        statement = select(prompt_versions).where(columns.organization_id == organization_id)
        if prompt_id is not None:
            statement = statement.where(columns.prompt_id == prompt_id)
        statement = statement.order_by(columns.prompt_id, columns.version)
        return await self._access.read(
            lambda connection: [
                rows.decode(row, PromptVersion) for row in connection.execute(statement)
            ]
        )

    async def create(self, prompt: NamedPrompt, version: PromptVersion) -> PromptVersion:
        """Store a prompt with its first version, or the next version if its name is taken.

        Calls are looked at again from `prompt.sorted_to` on. Raises `Conflict` if there are too
        many prompts or versions.
        """
        return await self._access.act(lambda connection: _create(connection, prompt, version))

    async def add_version(self, version: PromptVersion) -> PromptVersion | None:
        """Store the next version of a prompt. None if the prompt is gone or has too many."""
        return await self._access.act(lambda connection: _add_version(connection, version))

    async def merge(
        self, prompt: NamedPrompt, *, version: int, into: int, template: Template
    ) -> None:
        """Make one version of two: `into` gets the template and the calls of both."""
        await self._access.act(
            lambda connection: _merge(connection, prompt, version, into, template)
        )

    async def delete(self, prompt: NamedPrompt) -> None:
        """Delete a prompt with its versions. Its calls stay on record."""
        await self._access.act(lambda connection: _delete(connection, prompt))

    async def sort(
        self, found: Sequence[SortedCall], *, organization_id: str, sorted_to: int
    ) -> None:
        """Store which versions some calls have, and how far the calls have been looked at."""
        await self._access.act(
            lambda connection: _sort(
                connection, found, organization_id=organization_id, sorted_to=sorted_to
            )
        )

    async def count_calls(self, prompt: NamedPrompt) -> Mapping[int, int]:
        """How many calls each version has. At most 100,000 are counted."""
        columns = prompt_completions.c
        some = (
            select(columns.version)
            .where(
                columns.organization_id == prompt.organization_id, columns.prompt_id == prompt.id
            )
            .limit(_COUNTED_MAX)
            .subquery()
        )
        statement = select(some.c.version, func.count()).group_by(some.c.version)
        return await self._access.read(
            lambda connection: {row[0]: row[1] for row in connection.execute(statement)}
        )

    async def find_begin(self, *, organization_id: str, most: int) -> int:
        """When the oldest of an organization's newest `most` calls began."""
        columns = completions.c
        statement = (
            select(columns.created_at)
            .where(columns.organization_id == organization_id)
            .order_by(columns.created_at.desc())
            .offset(most)
            .limit(1)
        )
        return await self._access.read(lambda connection: connection.scalar(statement) or 0)


def forget(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Forget the prompts of completions of one organization that are deleted."""
    if not of:
        return
    organization_id = of[0].organization_id
    ours = prompts.c.organization_id == organization_id
    ids = connection.scalars(select(prompts.c.id).where(ours)).all()
    calls = [(each.created_at, each.id) for each in of]
    _forget(connection, calls, prompt_ids=ids, organization_id=organization_id)


def _find(connection: Connection, named: str, *, organization_id: str) -> NamedPrompt | None:
    columns = prompts.c
    for condition in (columns.name == named, columns.id == named):
        statement = select(prompts).where(columns.organization_id == organization_id, condition)
        if (row := connection.execute(statement).first()) is not None:
            return rows.decode(row, NamedPrompt)
    return None


def _create(connection: Connection, prompt: NamedPrompt, version: PromptVersion) -> PromptVersion:
    ours = prompts.c.organization_id == prompt.organization_id
    known = _find(connection, prompt.name, organization_id=prompt.organization_id)
    if known is None or known.name != prompt.name:
        count = connection.scalar(select(func.count()).select_from(prompts).where(ours)) or 0
        if count >= PROMPTS_MAX:
            raise Conflict(f"There are {PROMPTS_MAX} named prompts already: delete one first.")
        connection.execute(prompts.insert().values(rows.encode(prompt, table=prompts)))
        known = prompt
    version.prompt_id = known.id
    added = _add_version(connection, version)
    if added is None:
        raise Conflict(
            f"The prompt '{prompt.name}' has {VERSIONS_MAX} versions already: merge some with "
            "`briggs prompts merge`."
        )
    connection.execute(update(prompts).where(ours).values(sorted_to=prompt.sorted_to))
    return added


def _add_version(connection: Connection, version: PromptVersion) -> PromptVersion | None:
    columns = prompt_versions.c
    ours = (
        columns.organization_id == version.organization_id,
        columns.prompt_id == version.prompt_id,
    )
    prompt = select(prompts.c.last_version).where(
        prompts.c.organization_id == version.organization_id, prompts.c.id == version.prompt_id
    )
    last = connection.scalar(prompt)
    count = connection.scalar(select(func.count()).select_from(prompt_versions).where(*ours)) or 0
    if last is None or count >= VERSIONS_MAX:
        return None
    version.version = last + 1
    connection.execute(prompt_versions.insert().values(rows.encode(version, table=prompt_versions)))
    connection.execute(
        update(prompts)
        .where(
            prompts.c.organization_id == version.organization_id, prompts.c.id == version.prompt_id
        )
        .values(last_version=version.version)
    )
    return version


def _merge(
    connection: Connection, prompt: NamedPrompt, version: int, into: int, template: Template
) -> None:
    versions, sorted_calls = prompt_versions.c, prompt_completions.c
    of_prompt = (
        versions.organization_id == prompt.organization_id,
        versions.prompt_id == prompt.id,
    )
    connection.execute(
        update(prompt_versions)
        .where(*of_prompt, versions.version == into)
        .values(template=template, decided_by="person")
    )
    connection.execute(prompt_versions.delete().where(*of_prompt, versions.version == version))
    connection.execute(
        update(prompt_completions)
        .where(
            sorted_calls.organization_id == prompt.organization_id,
            sorted_calls.prompt_id == prompt.id,
            sorted_calls.version == version,
        )
        .values(version=into)
    )


def _delete(connection: Connection, prompt: NamedPrompt) -> None:
    for table, column in (
        (prompt_completions, prompt_completions.c.prompt_id),
        (prompt_versions, prompt_versions.c.prompt_id),
        (prompts, prompts.c.id),
    ):
        ours = table.c.organization_id == prompt.organization_id
        connection.execute(table.delete().where(ours, column == prompt.id))


def _sort(
    connection: Connection, found: Sequence[SortedCall], *, organization_id: str, sorted_to: int
) -> None:
    ours = prompts.c.organization_id == organization_id
    known: Collection[str] = {*connection.scalars(select(prompts.c.id).where(ours))}
    there = completions.c
    ids = [each.completion_id for each in found]
    # A call may have been deleted since it was read.
    kept = {
        *connection.scalars(
            select(there.id).where(there.organization_id == organization_id, there.id.in_(ids))
        )
    }
    values: builtins.list[tuple[str, str, int, str, int]] = [
        (organization_id, each.place.prompt_id, each.created_at, each.completion_id,
         each.place.version)
        for each in found
        if each.place.prompt_id in known and each.completion_id in kept
    ]  # fmt: skip
    if values:
        # A call has one version, and it may have had another one before.
        calls = [(each.created_at, each.completion_id) for each in found]
        _forget(connection, calls, prompt_ids=known, organization_id=organization_id)
        database_of(connection).insert_missing(connection, prompt_completions, values)
    connection.execute(
        update(prompts).where(ours, prompts.c.sorted_to < sorted_to).values(sorted_to=sorted_to)
    )


def _forget(
    connection: Connection,
    calls: Sequence[tuple[int, str]],
    *,
    prompt_ids: Collection[str],
    organization_id: str,
) -> None:
    """Take calls, by their time and id, out of prompts."""
    keys = [
        {
            "organization": organization_id,
            "prompt": prompt_id,
            "begun": created_at,
            "completion": completion_id,
        }
        for prompt_id in prompt_ids
        for created_at, completion_id in calls
    ]
    if keys:
        connection.execute(_FORGET, keys)


_FORGET = prompt_completions.delete().where(
    prompt_completions.c.organization_id == bindparam("organization", type_=AnyText),
    prompt_completions.c.prompt_id == bindparam("prompt", type_=AnyText),
    prompt_completions.c.created_at == bindparam("begun"),
    prompt_completions.c.completion_id == bindparam("completion", type_=AnyText),
)
