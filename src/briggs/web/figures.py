"""Writes figures for people: an unknown one is a dash, never 0."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup, escape

DASH = "—"


def number(value: float | None) -> str:
    """A count, such as 18,204."""
    return DASH if value is None else f"{value:,.0f}"


def seconds(ms: float | None) -> str:
    """A time in milliseconds, as 40 ms, 1.95 s, 12.4 s or 3 min 20 s."""
    if ms is None:
        return DASH
    if ms < 99.5:
        return f"{ms:.0f} ms"
    if ms < 9_995:
        return f"{ms / 1000:.2f} s"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, rest = divmod(round(ms / 1000), 60)
    return f"{minutes:,} min {rest} s"


def dollars(value: float | None) -> str:
    """US dollars: two decimals, or two significant digits if that is less than a cent."""
    if value is None:
        return DASH
    if value == 0 or abs(value) >= 0.995:
        return f"${value:,.2f}"
    whole, _, part = f"{float(f'{value:.2g}'):.10f}".rstrip("0").partition(".")
    return f"${whole}.{part:0<2}"


def total(value: float, unpriced: int) -> str:
    """A sum of US dollars of which some parts may be unknown. If all that is known is 0, a dash."""
    if not unpriced:
        return dollars(value)
    return f"at least {dollars(value)}" if value else DASH


def probability(value: float | None) -> str:
    """A probability: 0.87, or .004 where two decimals would hide it."""
    if value is None:
        return DASH
    if value >= 0.095:
        return f"{value:.2f}"
    return f"{float(f'{value:.1g}'):.9f}".rstrip("0").removeprefix("0").rstrip(".") or "0"


def percent(value: float | None) -> str:
    """A share, such as 0.34 % or 42 %."""
    if value is None:
        return DASH
    return f"{value * 100:.3g} %"


def odds(value: float | None) -> str:
    """A probability in percent: 42 %, 0.3 %, 99.9 %. Never 0 % or 100 % for what is not certain."""
    if value is None:
        return DASH
    percent = value * 100
    if percent < 0.01:
        return "0 %" if percent == 0 else "< 0.01 %"
    if percent < 0.95:
        return f"{float(f'{percent:.1g}'):.2f}".rstrip("0") + " %"
    if percent < 99:
        return f"{percent:.0f} %"
    return "100 %" if value == 1 else f"{min(percent, 99.94):.1f} %"


def size(bytes: float | None) -> str:
    """A number of bytes, as 214 B, 64 KB or 1.9 GB."""
    if bytes is None:
        return DASH
    for unit in ("B", "KB", "MB", "GB"):
        if bytes < 999.5:
            return f"{bytes:.0f} {unit}" if unit == "B" or bytes >= 99.5 else f"{bytes:.3g} {unit}"
        bytes /= 1000
    return f"{bytes:,.3g} TB"


def days(value: float | None) -> str:
    """A number of days, as hours, days, months or years."""
    if value is None:
        return DASH
    for limit, unit_days, unit in ((2, 1 / 24, "hour"), (60, 1, "day"), (730, 30.4, "month")):
        if value < limit:
            return plural(round(value / unit_days), unit)
    years = round(value / 365)
    return f"{years:,} years" if years <= 100 else "more than 100 years"


def time(at_us: int | None, style: str = "") -> str:
    """A time in Unix microseconds as `<time>`: UTC here, the viewer's zone in `shell.js`.

    `style` is "" (date and time), "clock" (time of the day), "day", or "ago". "listed" is a clock
    of a list, which says so once in its `data-times`.
    """
    if at_us is None:
        return DASH
    at = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    if style == "listed":
        return Markup("<time datetime={0:%Y-%m-%dT%H:%M:%S}Z>{0:%H:%M:%S} UTC</time>").format(at)
    written = {"clock": f"{at:%H:%M:%S}", "day": f"{at:%Y-%m-%d}"}.get(
        style, f"{at:%Y-%m-%d %H:%M:%S}"
    )
    return Markup('<time datetime="{}" data-style="{}">{} UTC</time>').format(
        at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), style, written
    )


def ticks(text: str) -> Markup:
    """A text of ours in which `names` are code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def plural(count: float | None, one: str, many: str = "") -> str:
    """A count and its noun: 1 call, 2 calls."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
