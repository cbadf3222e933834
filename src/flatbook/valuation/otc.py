"""Contracts over the counter: the terms of a `Contract` without a market, in absolute time, on named underlyings.

A book says what is owed; spot, vol, rate, carry and the years that are left come from the market on the day. So the
columns are those of a table of contracts (`contracts`), with `expiry` for `years`, `averaging_from` for the times of an
average, `underlying2` for a second asset, and none of the market's own. What has happened on the way (a barrier hit,
the average or extreme so far) is a `PathState`, for it changes while the terms do not.

Amounts are in the quote currency per contract: USD where the contract settles in the coin, which then pays the amount
over the spot of the moment; else the settlement currency itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final

from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import parse_expiry
from flatbook.domain.otc import DEFAULT_LOT, otc_instrument
from flatbook.domain.reference import Instrument
from flatbook.domain.units import DECIMALS, NS_PER_YEAR, format_utc, parse_utc
from flatbook.market.snapshot import DOLLARS
from flatbook.valuation.contracts import (
    COLUMNS,
    AsianTerms,
    Asset,
    Barrier,
    Cell,
    Contract,
    DigitalTerms,
    FieldError,
    Fields,
    LookbackTerms,
    Pair,
    Style,
    Terms,
    TouchTerms,
    TwoAssetBarrierTerms,
    parse_contract,
)
from flatbook.valuation.point import Point, pair_of

MARKETS_OWN: Final = (
    *("years", "vol", "rate", "carry", "spot", "forward", "spot2", "forward2", "vol2", "carry2"),
    *("first_fixing_years", "elapsed_years", "id", "price"),
)
"""Columns of a table of contracts that a book leaves to the market, or to columns of its own."""

OTC_COLUMNS: Final = (COLUMNS - set(MARKETS_OWN)) | {
    *("underlying", "settle", "expiry", "underlying2", "averaging_from", "hit", "lot"),
}
"""Every column that the terms or the path of a contract over the counter are read from."""

_PATH_COLUMNS: Final = ("average_so_far", "extreme_so_far", "hit")
_ENDLESS: Final = (Style.PERPETUAL, Style.EVERLASTING)
_ANY_MARKET: Final[Mapping[str, Cell]] = {
    **dict.fromkeys(("years", "vol", "vol2", "spot", "spot2"), 1.0),
    **dict.fromkeys(("rate", "carry", "carry2"), 0.0),
}
_UNKNOWN: Final = Asset(math.nan, math.nan, math.nan, is_forward=False)


@dataclass(frozen=True, slots=True)
class PathState:
    """What has happened to a contract since it began.

    was_hit     whether its barrier was
    average     of the prices that count so far; NaN before the first
    extreme     the lowest price so far of a lookback call, the highest of a put; NaN where it begins now
    seen_ns     until when the average counts; None for the moment of valuation. What comes after, and nobody saw,
                counts at the spot of the moment
    """

    was_hit: bool = False
    average: float = math.nan
    extreme: float = math.nan
    seen_ns: int | None = None


UNTOUCHED: Final = PathState()
"""Nothing has happened yet."""


@dataclass(frozen=True, slots=True)
class OtcTerms:
    """One contract over the counter.

    template            the contract with NaN for all that the market says
    underlying2         of a contract on two assets, else None
    correlation         as agreed or believed, NaN where the market is to say
    averaging_from_ns   when an average's first price counts; None for other contracts
    """

    instrument: Instrument
    template: Contract
    underlying2: str | None = None
    correlation: float = math.nan
    averaging_from_ns: int | None = None

    @property
    def style(self) -> Style:
        """What sort of contract it is."""
        return self.template.style

    @property
    def expiry_ns(self) -> int:
        """When it ends at the latest."""
        assert self.instrument.contract.expiry_ns is not None
        return self.instrument.contract.expiry_ns

    @property
    def underlying(self) -> str:
        """The (first) underlying."""
        return self.instrument.contract.base

    @property
    def pays_coin(self) -> bool:
        """Whether it settles in the underlying coin."""
        return self.instrument.contract.settle == self.underlying

    @property
    def barrier(self) -> Barrier | None:
        """The level it watches: on the second asset where the contract is on two."""
        match self.template.terms:
            case Barrier() as barrier:
                return barrier
            case DigitalTerms(barrier=barrier):
                return barrier
            case TouchTerms(barrier=barrier) | TwoAssetBarrierTerms(barrier=barrier):
                return barrier
            case _:
                return None

    def in_market(self, now_ns: int, market: Point, path: PathState, correlation: float) -> Contract:
        """The contract as of `now_ns`, in the flat market of `market`.

        Errors      BadInputError where an average has begun and `path` does not know it
        """
        years = (self.expiry_ns - now_ns) / NS_PER_YEAR
        terms = self._terms(now_ns, path, market.spot)
        if isinstance(pair_of(self.template), Pair):
            second = Asset(market.spot2, market.vol2, market.carry2, is_forward=False)
            terms = replace(terms, pair=Pair(second, correlation))  # type: ignore[type-var]
        asset = Asset(market.spot, market.vol, market.carry, is_forward=False)
        return replace(self.template, years=years, rate=market.rate, asset=asset, terms=terms)

    def _terms(self, now_ns: int, path: PathState, spot: float) -> Terms:
        terms = self.template.terms
        match terms:
            case AsianTerms():
                return self._asian(terms, now_ns, path, spot)
            case LookbackTerms():
                worst = min if self.template.sign > 0 else max
                return LookbackTerms(spot if math.isnan(path.extreme) else worst(path.extreme, spot))
            case Barrier():
                return replace(terms, was_hit=path.was_hit)
            case DigitalTerms(barrier=Barrier() as watched):
                return replace(terms, barrier=replace(watched, was_hit=path.was_hit))
            case TouchTerms(barrier=watched) | TwoAssetBarrierTerms(barrier=watched):
                return replace(terms, barrier=replace(watched, was_hit=path.was_hit))
            case _:
                return terms

    def _asian(self, terms: AsianTerms, now_ns: int, path: PathState, spot: float) -> AsianTerms:
        ahead = (self._averaging_from_ns - now_ns) / NS_PER_YEAR
        if ahead >= 0.0:
            return replace(terms, first_fixing_years=ahead)
        return replace(terms, elapsed_years=-ahead, average_so_far=self.average_at(now_ns, path, spot))

    @property
    def _averaging_from_ns(self) -> int:
        assert self.averaging_from_ns is not None
        return self.averaging_from_ns

    def average_at(self, now_ns: int, path: PathState, spot: float) -> float:
        """The average of an Asian so far, what nobody saw taken at `spot`.

        Errors      BadInputError where averaging had begun when the path was seen, and the path has no average
        """
        terms, from_ns = self.template.terms, self._averaging_from_ns
        assert isinstance(terms, AsianTerms)
        seen_ns = now_ns if path.seen_ns is None else path.seen_ns
        if seen_ns <= from_ns:
            return spot
        if math.isnan(path.average):
            raise BadInputError(
                f"average_so_far: missing, and averaging began at {format_utc(from_ns)}; give the average since"
            )
        share = self._counted(terms, seen_ns) / max(self._counted(terms, min(now_ns, self.expiry_ns)), 1e-12)
        if share >= 1.0:
            return path.average
        if terms.is_geometric:
            return math.pow(path.average, share) * math.pow(spot, 1.0 - share)
        return share * path.average + (1.0 - share) * spot

    def _counted(self, terms: AsianTerms, until_ns: int) -> float:
        """How much of the average is taken by then: a count of fixings, or a share of the time."""
        passed = (until_ns - self._averaging_from_ns) / (self.expiry_ns - self._averaging_from_ns)
        if terms.fixings < 2:
            return passed if terms.fixings == 0 else float(passed >= 1.0)
        return math.floor(passed * (terms.fixings - 1) + 1e-9) + 1.0 if passed >= 0.0 else 0.0


def parse_otc(name: str, cells: Mapping[str, Cell]) -> tuple[OtcTerms, PathState]:
    """The contract called `name` that a row of cells describes, and what has happened to it.

    Errors      BadInputError for the first field that cannot be used
    """
    fields = Fields(cells)
    for field in MARKETS_OWN:
        if field not in ("id", "price") and fields.has(field):
            raise BadInputError(f"{field}: {fields.text(field)} is for the market to say; leave it out of a book")
    own = {field: cell for field, cell in cells.items() if field not in _PATH_COLUMNS}
    pair = {} if fields.has("correlation") else {"correlation": 0.0}
    contract = parse_contract({**own, **pair, **_ANY_MARKET})
    if contract.style in _ENDLESS:
        raise FieldError("style", f"{contract.style} has no expiry and is margined")
    if contract.style is Style.INVERSE:
        raise BadInputError("style: inverse says how it settles; use european, and settle in the coin")
    underlying = _currency(fields, "underlying")
    settle = _currency(fields, "settle", underlying)
    if settle not in (underlying, *DOLLARS):
        raise BadInputError(f"settle: {settle} is not {underlying}; a contract settles in its own coin or in dollars")
    expiry_ns = _moment(fields, "expiry")
    instrument = otc_instrument(name, underlying, settle, expiry_ns, _lot(fields))
    on_two = pair_of(contract) is not None
    terms = OtcTerms(
        instrument=instrument,
        template=_without_market(contract),
        underlying2=_currency(fields, "underlying2") if on_two else None,
        correlation=fields.number("correlation") if fields.has("correlation") and on_two else math.nan,
        averaging_from_ns=_averaging_from(fields, expiry_ns) if contract.style is Style.ASIAN else None,
    )
    return terms, _path(fields, terms)


def _without_market(contract: Contract) -> Contract:
    terms = contract.terms
    if pair_of(contract) is not None:
        terms = replace(terms, pair=Pair(_UNKNOWN, math.nan))  # type: ignore[type-var]
    return replace(contract, years=math.nan, rate=math.nan, asset=_UNKNOWN, terms=terms)


def _path(fields: Fields, terms: OtcTerms) -> PathState:
    was_hit = fields.choice("hit", ("yes", "no"), "no") == "yes" if fields.text("hit") else False
    barrier = terms.barrier
    if was_hit and barrier is None:
        raise BadInputError("hit: yes, of a contract without a barrier; leave it out")
    if was_hit and not may_live_on(terms):
        raise BadInputError("hit: yes, so the contract has paid and ended; leave it out of the book")
    return PathState(
        was_hit,
        fields.positive("average_so_far") if fields.has("average_so_far") else math.nan,
        fields.positive("extreme_so_far") if fields.has("extreme_so_far") else math.nan,
    )


def may_live_on(terms: OtcTerms) -> bool:
    """Whether a contract with a barrier goes on after the hit: one that knocks in, unless it pays right there."""
    barrier = terms.barrier
    pays_there = isinstance(terms.template.terms, TouchTerms) and terms.template.terms.at_hit
    return barrier is not None and barrier.is_in and not pays_there


def _currency(fields: Fields, name: str, default: str | None = None) -> str:
    text = fields.text(name).upper() or default
    if text is None:
        raise BadInputError(f"{name}: missing; give a currency such as BTC")
    if text not in DECIMALS:
        raise BadInputError(f"{name}: {fields.text(name)!r} is not known; use one of {', '.join(DECIMALS)}")
    return text


def _moment(fields: Fields, name: str) -> int:
    """A moment as ISO-8601 UTC, or as a venue's date such as 27MAR26, which is 08:00 of it."""
    text = fields.text(name)
    if not text:
        raise BadInputError(f"{name}: missing; give it as 27MAR26 (08:00 UTC) or as 2026-03-27T08:00")
    listed_ns = parse_expiry(text.upper())
    return listed_ns if listed_ns is not None else parse_utc(text)


def _averaging_from(fields: Fields, expiry_ns: int) -> int:
    from_ns = _moment(fields, "averaging_from")
    if from_ns >= expiry_ns:
        raise BadInputError(
            f"averaging_from: {fields.text('averaging_from')} is not before expiry; give when it begins"
        )
    return from_ns


def _lot(fields: Fields) -> Decimal:
    text = fields.text("lot")
    try:
        return Decimal(text) if text else DEFAULT_LOT
    except InvalidOperation:
        raise BadInputError(f"lot: {text!r} is not a number; give a power of ten, such as 0.01") from None
