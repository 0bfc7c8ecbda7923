"""The limits of keys and organizations: reads new ones, and tells how much is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from briggs.gateway.ledger import Ledger
from briggs.gateway.limits import FileRules
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import InvalidRequest
from briggs.types.keys import Key
from briggs.types.limits import NAMES, NANO, Holder, Limits, Use, list_days


def read_limits(value: Any, *, before: Limits | None = None) -> Limits | None:
    """Read limits, which change only those `before` that are named. Null removes one.

    Raises `InvalidRequest`. Returns None for no limits.
    """
    if value is None:
        return before
    if not isinstance(value, dict):
        raise InvalidRequest(f"'limits' must be an object with any of {_LISTED}.", param="limits")
    if unknown := value.keys() - {*NAMES}:
        name = min(map(str, unknown))[:100]
        raise InvalidRequest(f"There is no limit '{name}': use any of {_LISTED}.", param="limits")
    old = {} if before is None else msgspec.structs.asdict(before)
    try:
        return msgspec.convert(old | value, Limits) or None
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `$.")
        raise InvalidRequest(
            f"Invalid value for 'limits.{place.rstrip('`')}': {words}.", param="limits"
        ) from error


async def read_uses(
    keys: Sequence[Key], *, organization_id: str, store: Store, ledger: Ledger, rules: FileRules
) -> tuple[Use, Mapping[str, Use]]:
    """What an organization and its keys may use and have used. The keys' are by their ids."""
    ruled = await ledger.find_rules(organization_id, rules=rules)
    days = [*list_days(current_time_us())]
    organization = await store.spending.read_all(
        "organization", organization_id=organization_id, days=days
    )
    by_key = await store.spending.read_all("key", organization_id=organization_id, days=days)

    async def describe(
        holder: Holder, id: str, limits: Limits | None, spent: Mapping[int, int] | None
    ) -> Use:
        use = await ledger.look(holder, id, organization_id=organization_id)
        use.limits = limits or Limits()
        use.dollars_today = (spent or {}).get(days[-1], 0) / NANO
        use.dollars_this_month = sum((spent or {}).values()) / NANO
        return use

    uses = {
        key.id: await describe(
            "key", key.id, (key.limits or Limits()).override(ruled.key), by_key.get(key.id)
        )
        for key in keys
    }
    spent = organization.get(organization_id)
    return await describe("organization", organization_id, ruled.organization, spent), uses


_LISTED = ", ".join(NAMES)
