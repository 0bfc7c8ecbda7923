"""Settings: providers, keys, organizations, prices, storage and rules. The file is only shown."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.keys import read_expiry, read_name
from briggs.accounts.limits import read_limits, read_uses
from briggs.accounts.organizations import (
    create_organization,
    list_organizations,
    looks_after_all,
)
from briggs.accounts.scopes import read_scopes
from briggs.gateway.running import Running
from briggs.parts import Parts, find_parts
from briggs.providers.base import Provider, Target
from briggs.providers.catalog import VENDORS, describe_providers
from briggs.record.prices import Rates
from briggs.rules import RULES
from briggs.settings import LakeSettings
from briggs.storage.backlogs import Backlog
from briggs.storage.database import Room
from briggs.storage.spooling import SpoolState
from briggs.types.completions import current_time_us
from briggs.types.errors import BriggsError, Forbidden, InvalidRequest
from briggs.types.histograms import percentiles
from briggs.types.keys import SCOPES, Key
from briggs.types.organizations import DEFAULT, Organization
from briggs.types.retention import Term, name_span
from briggs.types.rollups import SPAN_US, Rollup, Tally
from briggs.web.csrf import read_form
from briggs.web.limits import WORDS, list_limits, read_form_limits
from briggs.web.rendering import render
from briggs.web.route import see_other

_HOUR_US = SPAN_US["hour"]
_DAY_US = 24 * _HOUR_US
_ASK_TIMEOUT_S = 5

EXPIRIES = ((None, "never"), (1, "1 day"), (7, "7 days"), (30, "30 days"), (365, "1 year"))
"""After how many days a new key can end."""


class ProviderRow(NamedTuple):
    """What is known of a provider, and how it did for one organization."""

    name: str
    detail: str
    """Its address; for local models, how many there are."""
    key_variable: str | None
    has_key: bool
    is_ready: bool
    last_at: int | None
    """When it answered last, as far as a day back. Exact to the minute, or to the hour."""
    p50_ms: float | None
    failed: float | None
    """The share of its calls in the last hour."""
    line: Sequence[float | None]
    """Its median time in each of the last 24 hours."""
    now: str
    kind: str
    """`good`, `warn`, `bad`, or "" if nothing is known."""


class Storage(NamedTuple):
    """The room that the record takes. None is unknown."""

    completions: int
    size: Room | None
    """None for those who may not know of other organizations."""
    daily_bytes: float | None
    full_in_days: float | None
    durability: str
    spool: SpoolState | None
    """What waits for a database that is away."""
    backlogs: Sequence[Backlog]
    """The work on older completions that is not finished."""


class Kept(NamedTuple):
    """How long something stays."""

    what: str
    time: str
    more: str
    """Of what, or what becomes of it."""


class PriceRow(NamedTuple):
    """The price of a model that was called, and what its calls cost."""

    model: str
    provider: str
    source: str
    rates: Rates | None
    tally: Tally


async def show(request: Request) -> Response:
    """`GET /settings`: providers, keys, organizations, storage, and what this is."""
    return await _show(request)


async def ask_providers(request: Request) -> Response:
    """`POST /settings/providers`: ask every provider for its models, and show who answers."""
    if not looks_after_all(request.state.key):
        raise Forbidden(f"Only administrators of '{DEFAULT}' can ask the providers.")
    providers = find_parts(request).running.models.providers.values()
    ready = [each for each in providers if each.is_configured]
    told = await asyncio.gather(*map(_ask, ready))
    return await _show(
        request, asked={each.name: said for each, said in zip(ready, told, strict=True)}
    )


async def create_key(request: Request) -> Response:
    """`POST /settings/keys`: create a key, and show its secret once."""
    form, key = await read_form(request), request.state.key
    days = form.get("days", "")
    if days and days not in {str(each) for each, _ in EXPIRIES}:
        raise InvalidRequest("'days' must be one of those in the form.", param="days")
    made, secret = await find_parts(request).gate.keys.create(
        read_name(form.get("name", "").strip()),
        organization_id=key.organization_id,
        scopes=read_scopes(form.getlist("scopes")),
        expires_at=read_expiry(float(days) * 86_400 if days else None),
        limits=read_limits(read_form_limits(form)),
    )
    return await _show_secret(request, heading=f"The key '{made.name}'", made=made, secret=secret)


async def limit_key(request: Request) -> Response:
    """`POST /settings/keys/{id}/limits`: replace the limits of a key."""
    form, key = await read_form(request), request.state.key
    await find_parts(request).gate.keys.limit(
        request.path_params["id"], read_form_limits(form), organization_id=key.organization_id
    )
    return see_other("/settings#keys")


async def revoke_key(request: Request) -> Response:
    """`POST /settings/keys/{id}/revoke`: refuse a key from now on."""
    key = request.state.key
    await find_parts(request).gate.keys.revoke(
        request.path_params["id"], organization_id=key.organization_id, by=key
    )
    return see_other("/settings#keys")


async def create_one_organization(request: Request) -> Response:
    """`POST /settings/organizations`: create one, and show its first key once."""
    form, parts = await read_form(request), find_parts(request)
    slug = form.get("slug", "").strip()
    organization, made, secret = await create_organization(
        parts.store,
        slug=slug,
        name=form.get("name", "").strip() or slug,
        keys=parts.gate.keys,
        by=request.state.key,
    )
    return await _show_secret(
        request, heading=f"The organization '{organization.slug}'", made=made, secret=secret
    )


async def show_prices(request: Request) -> Response:
    """`GET /settings/prices`: the price of every model that was called in the last 30 days."""
    parts, key = find_parts(request), request.state.key
    rollups = await _list_rollups(parts, key, days=30)
    rows = await asyncio.to_thread(list_prices, rollups, parts.running)
    return await render(request, "settings/prices.html", title="Settings", rows=rows)


async def show_rules(request: Request) -> Response:
    """`GET /settings/rules`: the rule book."""
    return await render(request, "settings/rules.html", title="Settings", rules=RULES.values())


async def _show(request: Request, *, asked: Mapping[str, str] | None = None) -> Response:
    parts, key = find_parts(request), request.state.key
    rollups = await _list_rollups(parts, key, days=1)
    minutes = await _list_minutes(parts, key)
    is_admin = "admin" in key.scopes
    running, sees_all = parts.running, looks_after_all(key)
    providers = list_providers(
        running, hours=rollups, minutes=minutes, sees_all=sees_all, asked=asked or {}
    )
    keys = await parts.gate.keys.list(organization_id=key.organization_id) if is_admin else None
    organizations = await list_organizations(parts.store, key=key)
    own, uses = await read_uses(
        keys or [],
        organization_id=key.organization_id,
        store=parts.store,
        ledger=parts.gateway.ledger,
        rules=running.rules,
    )
    return await render(
        request,
        "settings/settings.html",
        title="Settings",
        providers=providers,
        unused=sum(name not in {each.name for each in providers} for name in VENDORS),
        config=running.settings.config,
        names=len(running.models.named),
        sees_all=sees_all,
        keys=keys,
        limits=list_limits(own),
        limits_by_key={id: list_limits(use) for id, use in uses.items()},
        spent={id: use.dollars_this_month for id, use in uses.items()},
        words=WORDS,
        now=current_time_us(),
        scopes=SCOPES,
        expiries=EXPIRIES,
        organizations=organizations,
        nodes=await parts.nodes.list() if sees_all else (),
        storage=await _measure_storage(parts, key),
        kept=list_kept(
            parts.store.retention.terms,
            running.settings.file.lake,
            of=next(each for each in organizations if each.id == key.organization_id),
        ),
        about=_list_facts(),
    )


async def _show_secret(request: Request, *, heading: str, made: Key, secret: str) -> Response:
    return await render(
        request, "settings/secret.html", title="Settings", heading=heading, made=made, secret=secret
    )


def list_providers(
    running: Running,
    *,
    hours: Sequence[Rollup],
    minutes: Sequence[Rollup],
    sees_all: bool,
    asked: Mapping[str, str],
) -> list[ProviderRow]:
    """The providers of the file; without a file, those that are ready.

    Whoever does not look after all organizations sees those that they used, without addresses.
    """
    described = {
        each.name: each
        for each in describe_providers(running.settings.file, running.settings.environment)
    }
    used = {rollup.provider for rollup in hours}
    rows = []
    for name, provider in running.models.providers.items():
        known = described.get(name)
        vendor = VENDORS.get(name)
        variable = known.key_variable if known else vendor.key_variable if vendor else None
        is_ready = provider.is_configured
        is_known = known is not None or name == "local" or (variable is not None and is_ready)
        if not (name in used or (sees_all and is_known)):
            continue
        of_hour = _sum(each for each in minutes if each.provider == name)
        (p50,) = percentiles(of_hour.duration_ms, [0.5])
        has_key = known.has_key if known else is_ready
        now, kind = _describe_now(provider, running, variable, of_hour, asked)
        rows.append(
            ProviderRow(
                name=name,
                detail=(provider.base_url or "models on this machine") if sees_all else "",
                key_variable=variable if sees_all else None,
                has_key=has_key,
                is_ready=is_ready,
                last_at=_find_last(name, minutes, hours),
                p50_ms=p50,
                failed=of_hour.failed / of_hour.calls if of_hour.calls else None,
                line=_draw_line(name, hours),
                now=now,
                kind=kind,
            )
        )
    return rows


def list_kept(terms: Sequence[Term], lake: LakeSettings | None, *, of: Organization) -> list[Kept]:
    """How long the completions of an organization stay, as the file says."""
    ours = [each for each in terms if each.organization in (None, of.id, of.slug)]
    kept = [
        Kept(
            "Messages kept for" if each.what == "bodies" else "Kept for",
            name_span(each.span),
            f"with the tag {each.tag}" if each.tag is not None else "",
        )
        for each in ours
    ]
    if not any(each.what == "metadata" and each.tag is None for each in ours):
        kept.append(
            Kept("Kept for", "ever", "all else" if ours else "nothing is deleted by itself")
        )
    if lake is not None:
        becomes = "and stays on record" if lake.keep_record else "and leaves the record"
        kept.append(Kept("In the lake after", name_span(lake.after), becomes))
    return kept


def list_prices(rollups: Sequence[Rollup], running: Running) -> list[PriceRow]:
    """The models that were called, with their prices, the most expensive first."""
    tallies: dict[tuple[str, str], Tally] = {}
    for rollup in rollups:
        if rollup.provider:
            tallies.setdefault((rollup.model, rollup.provider), Tally()).add(rollup.tally)
    rows = []
    for (model, provider), tally in tallies.items():
        price = running.prices.find(provider, model.removeprefix(f"{provider}/"))
        rates = price.tiers[-1][1] if price else None
        rows.append(PriceRow(model, provider, price.source if price else "", rates, tally))
    return sorted(rows, key=lambda row: (-(row.tally.cost_usd or 0), -row.tally.calls))


async def _ask(provider: Provider) -> str:
    try:
        models = await asyncio.wait_for(provider.list_models(), timeout=_ASK_TIMEOUT_S)
    except TimeoutError:
        return f"did not answer in {_ASK_TIMEOUT_S} s"
    except BriggsError as error:
        return error.message
    return f"answers, {len(models)} models" if len(models) != 1 else "answers, 1 model"


def _describe_now(
    provider: Provider,
    running: Running,
    variable: str | None,
    of_hour: Tally,
    asked: Mapping[str, str],
) -> tuple[str, str]:
    """How a provider is now, in words, and as a colour."""
    if (said := asked.get(provider.name)) is not None:
        return said, "good" if said.startswith("answers") else "bad"
    if not provider.is_configured:
        return (f"no key: set {variable}" if variable else "not configured"), "bad"
    skipped = [
        each
        for each in running.models.cooling.list_skipped()
        if isinstance(each.target, Target) and each.target.provider is provider
    ]
    if skipped:
        longest = max(skipped, key=lambda each: each.for_s)
        failures = "1 failure" if longest.failures == 1 else f"{longest.failures} failures"
        return f"passed over for {longest.for_s:.0f} s, {failures}", "warn"
    if not of_hour.calls:
        return "no calls in this hour", ""
    if of_hour.failed == of_hour.calls:
        return "every call failed", "bad"
    return "answers", "good"


def _find_last(name: str, *lists: Sequence[Rollup]) -> int | None:
    """The beginning of the last minute, or else hour, in which a provider answered."""
    for rollups in lists:
        answered = [
            each.begin_at
            for each in rollups
            if each.provider == name and each.tally.calls > each.tally.failed
        ]
        if answered:
            return max(answered)
    return None


def _draw_line(name: str, hours: Sequence[Rollup]) -> list[float | None]:
    this_hour = current_time_us() // _HOUR_US
    by_hour: dict[int, Tally] = {}
    for each in hours:
        if each.provider == name:
            by_hour.setdefault(each.begin_at // _HOUR_US, Tally()).add(each.tally)
    return [
        percentiles(by_hour[hour].duration_ms, [0.5])[0] if hour in by_hour else None
        for hour in range(this_hour - 23, this_hour + 1)
    ]


async def _list_rollups(parts: Parts, key: Key, *, days: int) -> Sequence[Rollup]:
    now = current_time_us()
    return await parts.store.rollups.list_all(
        organization_id=key.organization_id,
        span="hour",
        created_from=now - days * _DAY_US,
        created_to=now + 1,
    )


async def _list_minutes(parts: Parts, key: Key) -> Sequence[Rollup]:
    now = current_time_us()
    return await parts.store.rollups.list_all(
        organization_id=key.organization_id,
        span="minute",
        created_from=now - _HOUR_US,
        created_to=now + 1,
    )


async def _measure_storage(parts: Parts, key: Key) -> Storage:
    store = parts.store
    count = await store.sizes.count_completions(organization_id=key.organization_id)
    if key.organization_id != DEFAULT:
        return Storage(count, None, None, None, store.durability, None, ())
    size = await store.sizes.measure()
    week = _sum(await _list_rollups(parts, key, days=7))
    # How large a call is on average, by how many a day there were in the last week.
    daily = size.bytes / count * week.calls / 7 if count and week.calls else None
    full_in = size.free_bytes / daily if daily and size.free_bytes is not None else None
    backlogs = await store.backlogs.list()
    return Storage(count, size, daily, full_in, store.durability, store.spool, backlogs)


def _sum(rollups: Iterable[Rollup]) -> Tally:
    total = Tally()
    for rollup in rollups:
        total.add(rollup.tally)
    return total


def _list_facts() -> list[tuple[str, str]]:
    return [
        ("Python", platform.python_version()),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Licence", "Apache-2.0"),
    ]
