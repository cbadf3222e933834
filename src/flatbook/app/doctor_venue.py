"""A doctor's look at a venue: round trip, clock, key, limits, contracts against our tables, age of its data."""

import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

import msgspec

from flatbook.app.doctor_rows import Finding, Verdict
from flatbook.app.feed import KEY, KINDS, SECRET, LiveFeed
from flatbook.app.live_key import GUARDS, TRADES, WITHDRAWS
from flatbook.domain.errors import UnknownInstrumentError, VenueUnreachableError
from flatbook.domain.events import ChainQuotes, IndexTick, TopOfBook, TradePrint
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.venues.deribit.client import outcome_error
from flatbook.venues.deribit.codec import result_of
from flatbook.venues.deribit.credits import Limits, load_limits

_NS_PER_MS = 1e6
_ROUND_TRIPS = 7
_SLOW_MS, _CLOCK_WARN_MS, _CLOCK_FAIL_MS, _OLD_MS = 250.0, 100.0, 5_000.0, 1_000.0
_SHOWN = 4
_HEARD: dict[type, str] = {IndexTick: "index", TopOfBook: "futures", ChainQuotes: "options", TradePrint: "trades"}


class Step(msgspec.Struct):
    """From which price on another tick holds."""

    above_price: float
    tick_size: float


class Listed(msgspec.Struct):
    """How the venue says that a contract trades."""

    instrument_name: str
    kind: str
    tick_size: float
    min_trade_amount: float
    maker_commission: float
    taker_commission: float
    tick_size_steps: list[Step] = []


def venue_rows(feed: LiveFeed, reference: ReferenceData, listen_s: float) -> Iterator[Finding]:
    """Every row of a feed that is open; the last ones after `listen_s` of listening.

    Errors      VenueUnreachableError where it is gone meanwhile
    """
    yield _round_trip(feed)
    yield _clock(feed)
    yield credentials(feed.client.protocol.scopes)
    yield limits(_account_limits(feed), load_limits())
    yield from instruments(_listed(feed), reference)
    yield from _data(feed, listen_s)


def _round_trip(feed: LiveFeed) -> Finding:
    taken_ms = []
    for _ in range(_ROUND_TRIPS):
        begun = time.perf_counter_ns()
        feed.ask("public/test", {})
        taken_ms.append((time.perf_counter_ns() - begun) / _NS_PER_MS)
    taken_ms.sort()
    middle, longest = taken_ms[len(taken_ms) // 2], taken_ms[-1]
    text = f"{feed.client.url}: round trip {middle:.1f} ms, longest of {len(taken_ms)} {longest:.1f} ms"
    if middle <= _SLOW_MS:
        return Finding("venue", Verdict.OK, text)
    return Finding("venue", Verdict.WARN, text, "quotes rest for as long as a cancel takes: run nearer to the venue")


def _clock(feed: LiveFeed) -> Finding:
    clock = feed.client.protocol.clock
    if clock.offset_ns is None or clock.error_ns is None:
        return Finding("clock", Verdict.WARN, "the venue does not say when it answers", "keep this clock set by NTP")
    offset_ms, error_ms = clock.offset_ns / _NS_PER_MS, clock.error_ns / _NS_PER_MS
    text = f"the venue's is {_moment(abs(offset_ms))} {'ahead' if offset_ms > 0 else 'behind'}, ±{error_ms:.2f} ms"
    beyond_ms = abs(offset_ms) - error_ms
    if feed.terms.on_venue_clock:
        return Finding("clock", Verdict.OK, f"{text}; local times are put on it")
    if beyond_ms > _CLOCK_FAIL_MS:
        remedy = "set this clock by NTP; a venue that lives in a time of its own needs --venue-clock"
        return Finding("clock", Verdict.FAIL, text, remedy)
    if beyond_ms > _CLOCK_WARN_MS:
        return Finding("clock", Verdict.WARN, text, "set this clock by NTP")
    return Finding("clock", Verdict.OK, text)


def _moment(span_ms: float) -> str:
    return f"{span_ms:.2f} ms" if span_ms < 1_000 else f"{span_ms / 1_000:,.1f} s"


def credentials(scopes: tuple[str, ...]) -> Finding:
    """The row of what the key may do; without one, public data is all there is."""
    if not scopes:
        remedy = f"to trade, or for raw channels, set {KEY} and {SECRET}"
        return Finding("credentials", Verdict.OK, f"no key: public data; {remedy}")
    text = f"signed in; scopes {' '.join(scopes)}"
    if WITHDRAWS in scopes:
        remedy = f"{WITHDRAWS} can withdraw: use a key without it; flatbook live refuses this one"
        return Finding("credentials", Verdict.WARN, text, remedy)
    if missing := [each for each in (TRADES, GUARDS) if each not in scopes]:
        remedy = f"to trade, make a key with {' and '.join(missing)}"
        return Finding("credentials", Verdict.OK, f"{text}: it cannot trade; {remedy}")
    return Finding("credentials", Verdict.OK, text)


def _account_limits(feed: LiveFeed) -> dict[str, Any]:
    """What the account may ask for, as the venue says; nothing where it does not."""
    if not feed.client.protocol.scopes:
        return {}
    asked = feed.ask("private/get_account_summary", {"currency": feed.terms.currencies[0], "extended": True})
    if asked.answer is None or outcome_error(asked):
        return {}
    return result_of(asked.answer, dict[str, Any]).get("limits") or {}


def limits(said: dict[str, Any], configured: Limits) -> Finding:
    """The row of rate limits: an account's beside those that the client keeps to."""
    matching, requests = configured.matching, configured.requests
    kept = "; ".join(
        f"{name} {pool.per_s / pool.cost:g} a second, {pool.most / pool.cost:g} at once"
        for name, pool in (("requests", requests), ("orders", matching))
    )
    pools = dict(_pools(said))
    if not pools:
        return Finding("rate limits", Verdict.OK, f"the venue says none; kept to {kept}")
    text = "; ".join(f"{name} {rate:g} a second, {burst:g} at once" for name, (rate, burst) in pools.items())
    of_orders = [rate for name, (rate, _) in pools.items() if name.startswith("matching_engine")]
    if min(of_orders, default=matching.per_s) < matching.per_s / matching.cost:
        return Finding("rate limits", Verdict.FAIL, f"{text}; kept to {kept}", "the account's are lower: ask for more")
    return Finding("rate limits", Verdict.OK, f"{text}; kept to {kept}")


def _pools(said: dict[str, Any], name: str = "") -> Iterator[tuple[str, tuple[float, float]]]:
    """Every pool in an account's limits, however deep: its name, rate and burst in requests."""
    if "rate" in said and "burst" in said:
        yield name, (float(said["rate"]), float(said["burst"]))
    for key, value in said.items():
        if isinstance(value, dict):
            yield from _pools(value, f"{name} {key}".strip())


def _listed(feed: LiveFeed) -> list[Listed]:
    listed = []
    for currency in feed.terms.currencies:
        for kind in KINDS:
            params = {"currency": currency, "kind": kind, "expired": False}
            asked = feed.ask("public/get_instruments", params)
            if asked.answer is None or outcome_error(asked):
                raise VenueUnreachableError(f"{feed.terms.url}: instruments of {currency}: {outcome_error(asked)}")
            listed += result_of(asked.answer, list[Listed])
    return listed


def instruments(listed: list[Listed], reference: ReferenceData) -> Iterator[Finding]:
    """How many there are of each kind, which of them no table of ours explains, and where ours are not the venue's."""
    counts: dict[str, int] = defaultdict(int)
    unknown, traded, charged = [], defaultdict(list), defaultdict(list)
    for each in listed:
        counts[each.kind] += 1
        try:
            ours = reference.instrument(each.instrument_name)
        except UnknownInstrumentError:
            unknown.append(each.instrument_name)
            continue
        for what in _traded_otherwise(each, ours):
            traded[f"{ours.contract.base} {ours.contract.kind}: {what}"].append(each.instrument_name)
        for what in _charged_otherwise(each, ours):
            charged[f"{ours.contract.base} {ours.contract.kind}: {what}"].append(each.instrument_name)
    text = ", ".join(f"{count:,} {kind}s" for kind, count in counts.items()) or "none is listed"
    yield Finding("instruments", Verdict.OK if listed else Verdict.FAIL, text, "" if listed else "check the currency")
    if unknown:
        remedy = "they are set aside; add their family to contracts.toml to know them"
        yield Finding("unknown contracts", Verdict.WARN, f"{len(unknown):,}: {_some(unknown)}", remedy)
    for what, names in traded.items():
        remedy = "orders would be refused: add a dated edition to contracts.toml"
        yield Finding("ticks and lots", Verdict.FAIL, f"{what} ({len(names):,}: {_some(names)})", remedy)
    for what, names in charged.items():
        remedy = "fees would be booked wrong: add a dated edition to contracts.toml"
        yield Finding("fees", Verdict.WARN, f"{what} ({len(names):,}: {_some(names)})", remedy)
    if not traded and not charged:
        yield Finding("contract tables", Verdict.OK, "ticks, lots and fees are the venue's")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def _traded_otherwise(venues: Listed, ours: Instrument) -> Iterator[str]:
    ticks = ours.spec.ticks
    coarse = [] if ticks.above is None or ticks.coarse is None else [(float(ticks.above), float(ticks.coarse))]
    pairs = (
        ("tick", venues.tick_size, float(ticks.finest)),
        ("tick steps", [(step.above_price, step.tick_size) for step in venues.tick_size_steps], coarse),
        ("lot", venues.min_trade_amount, ours.lot_size),
    )
    yield from (f"{what} {theirs}, ours {known}" for what, theirs, known in pairs if theirs != known)


def _charged_otherwise(venues: Listed, ours: Instrument) -> Iterator[str]:
    fees = ours.spec.fees
    pairs = (
        ("maker fee", venues.maker_commission, float(fees.maker)),
        ("taker fee", venues.taker_commission, float(fees.taker)),
    )
    yield from (f"{what} {theirs}, ours {known}" for what, theirs, known in pairs if theirs != known)


def _data(feed: LiveFeed, listen_s: float) -> Iterator[Finding]:
    """How old what is heard is, by kind, on the venue's clock."""
    offset_ns = 0 if feed.terms.on_venue_clock else feed.client.protocol.clock.offset_ns or 0
    ages_ms: dict[str, list[float]] = {name: [] for name in _HEARD.values()}
    end = time.monotonic() + listen_s
    for event in feed.events():
        if name := _HEARD.get(type(event)):
            ages_ms[name].append((event.local_ts_ns + offset_ns - event.exch_ts_ns) / _NS_PER_MS)
        if time.monotonic() >= end:
            break
    for name, ages in ages_ms.items():
        yield heard(name, ages, listen_s)


def heard(name: str, ages_ms: list[float], listen_s: float) -> Finding:
    """The row of one kind of data: how often it was heard, and how old it was then."""
    if not ages_ms:
        # Nobody need have traded.
        verdict = Verdict.OK if name == "trades" else Verdict.FAIL
        remedy = "" if verdict is Verdict.OK else "the venue may be down for maintenance, or the coin not be listed"
        return Finding(f"data: {name}", verdict, f"none in {listen_s:g} s", remedy)
    middle, oldest = median(ages_ms), max(ages_ms)
    text = f"{len(ages_ms):,} in {listen_s:g} s, {middle:,.0f} ms old in the middle, {oldest:,.0f} ms at most"
    if middle <= _OLD_MS:
        return Finding(f"data: {name}", Verdict.OK, text)
    return Finding(f"data: {name}", Verdict.WARN, text, "the line or this machine is too slow: quotes would be late")
