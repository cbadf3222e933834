"""Contracts as frozen values, and how a row of named cells becomes one.

A `Contract` says what is owed and the flat market it is valued in: one vol, one rate and one carry. It holds no
pricing. `parse_contract` checks every field once, at birth, and answers a bad one with a `FieldError` that names the
field, the value and the remedy.

Units: prices, strikes, barriers and rebates in quote currency per unit of the asset; vols decimal per square-root
year; rates and carries annual and continuous (carry is rate minus dividend or borrow); years of 365 days.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flatbook.domain.errors import BadInputError

Cell = str | float | None
"""One cell of a row: text as written, a number already read, or nothing."""


class FieldError(BadInputError):
    """One field of one row that cannot be used: `field: value problem; remedy`."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}; {REMEDIES.get(field, 'see `flatbook price --help`')}")
        self.field, self.problem = field, problem


class Style(StrEnum):
    """What sort of contract it is."""

    EUROPEAN = "european"
    INVERSE = "inverse"
    AMERICAN = "american"
    BARRIER = "barrier"
    DIGITAL = "digital"
    TOUCH = "touch"
    ASIAN = "asian"
    LOOKBACK = "lookback"
    EXCHANGE = "exchange"
    SPREAD = "spread"
    BASKET = "basket"
    MIN_MAX = "min_max"
    TWO_ASSET_BARRIER = "two_asset_barrier"
    TWO_ASSET_CORRELATION = "two_asset_correlation"
    PERPETUAL = "perpetual"
    EVERLASTING = "everlasting"


@dataclass(frozen=True, slots=True)
class Asset:
    """An underlying in a flat market.

    `spot` is the price today; a terminal payoff quoted on its forward has `spot` = forward and `carry` 0, which is the
    same distribution at expiry. `is_forward` says which of the two was quoted, and so what delta is taken by.
    """

    spot: float
    vol: float
    carry: float
    is_forward: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """The second asset of a contract on two, and the correlation of their log returns."""

    second: Asset
    correlation: float


@dataclass(frozen=True, slots=True)
class Barrier:
    """A continuously watched level; `rebate` is paid at the hit of a knock-out, at expiry of a knock-in never hit."""

    level: float
    is_down: bool
    is_in: bool
    rebate: float
    was_hit: bool = False

    def touched(self, spot: float) -> bool:
        """Whether it was hit before, or `spot` is at or beyond the level."""
        return self.was_hit or (spot <= self.level if self.is_down else spot >= self.level)

    @property
    def live_spots(self) -> tuple[float, float]:
        """The open interval of spots at which the barrier has not been hit."""
        return (self.level, math.inf) if self.is_down else (0.0, self.level)


@dataclass(frozen=True, slots=True)
class DigitalTerms:
    """Pays `cash` or the asset at expiry in the money; with a barrier, only if that was (or was not) hit before."""

    pays_asset: bool
    cash: float
    barrier: Barrier | None


@dataclass(frozen=True, slots=True)
class TouchTerms:
    """Pays `cash` or the asset if the barrier is hit (a barrier that knocks in), or never hit (knocks out)."""

    pays_asset: bool
    cash: float
    barrier: Barrier
    at_hit: bool


@dataclass(frozen=True, slots=True)
class AsianTerms:
    """An average-price payoff.

    With `fixings` of 0 the average is continuous, else over that many equally spaced prices, the last at expiry. The
    averaging starts in `first_fixing_years` (None: one spacing from now, or now when continuous), or started
    `elapsed_years` ago and stands at `average_so_far`; fixings already taken are counted in `fixings`.
    """

    is_geometric: bool
    fixings: int
    first_fixing_years: float | None
    elapsed_years: float
    average_so_far: float


@dataclass(frozen=True, slots=True)
class LookbackTerms:
    """A floating strike: the lowest price of the contract's life for a call, the highest for a put."""

    extreme_so_far: float


@dataclass(frozen=True, slots=True)
class QuantityTerms:
    """Two assets by quantity: an exchange of the second for the first, or a basket of both."""

    pair: Pair
    quantity1: float
    quantity2: float


@dataclass(frozen=True, slots=True)
class SpreadTerms:
    """The first asset less the second, over the strike."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class MinMaxTerms:
    """The dearer (`is_max`) or the cheaper of two assets."""

    pair: Pair
    is_max: bool


@dataclass(frozen=True, slots=True)
class TwoAssetBarrierTerms:
    """An option on the first asset with a barrier on the second."""

    pair: Pair
    barrier: Barrier


@dataclass(frozen=True, slots=True)
class TwoAssetCorrelationTerms:
    """An option on the second asset struck at `strike2`, alive if the first ends beyond the contract's strike."""

    pair: Pair
    strike2: float


@dataclass(frozen=True, slots=True)
class PerpetualTerms:
    """A perpetual on `spot ** power`, funded by kappa (f - S) + iota S.

    `period_years` 0 is continuous funding, with `kappa` and `iota` per year; else they are per period, and
    `on_current_spot` tells the spot of the payment from that of the period's start.
    """

    kappa: float
    iota: float
    is_inverse: bool
    power: float
    period_years: float
    on_current_spot: bool


@dataclass(frozen=True, slots=True)
class EverlastingTerms:
    """An option without expiry whose holder pays kappa (mark - payoff) every `period_years`."""

    kappa: float
    period_years: float


Terms = (
    DigitalTerms
    | TouchTerms
    | AsianTerms
    | LookbackTerms
    | QuantityTerms
    | SpreadTerms
    | MinMaxTerms
    | TwoAssetBarrierTerms
    | TwoAssetCorrelationTerms
    | PerpetualTerms
    | EverlastingTerms
    | Barrier
    | None
)


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract, one unit long. `sign` +1 call, -1 put, 0 neither; `strike` and `years` NaN where it has none.

    `method` is the engine asked for, empty for the style's own.
    """

    style: Style
    sign: int
    strike: float
    years: float
    rate: float
    asset: Asset
    terms: Terms
    method: str = ""


REMEDIES: Final[dict[str, str]] = {
    "style": "use one of " + ", ".join(Style),
    "right": "use call or put",
    "strike": "give the strike in quote currency, above 0",
    "strike2": "give the second asset's strike in quote currency, above 0",
    "years": "give the time to expiry in years of 365 days, as 0.25",
    "vol": "give a vol as a decimal per year",
    "vol2": "give a vol as a decimal per year",
    "rate": "give a continuous annual rate as a decimal, 0 where there is none",
    "carry": "give rate minus dividend or borrow, continuous and annual, 0 for a future",
    "carry2": "give rate minus dividend or borrow of the second asset, continuous and annual",
    "spot": "give a price above 0 in either spot or forward",
    "forward": "give a price above 0 in either spot or forward",
    "spot2": "give a price above 0 in either spot2 or forward2",
    "forward2": "give a price above 0 in either spot2 or forward2",
    "price": "give the price to be implied, 0 or more",
    "barrier": "give the barrier in quote currency, above 0",
    "barrier_kind": "use one of down_in, down_out, up_in, up_out",
    "rebate": "give an amount of 0 or more, or leave it empty",
    "payoff": "use cash or asset",
    "cash": "give the amount paid, 0 or more",
    "pay_at": "use hit or expiry; a barrier that knocks out can only pay at expiry",
    "average": "use arithmetic or geometric",
    "fixings": "give the count of fixings as a whole number, 0 for a continuous average",
    "first_fixing_years": "give the time to the first fixing, 0 or more and not after expiry, or leave it empty",
    "elapsed_years": "give the time since averaging began, 0 or more, without first_fixing_years",
    "average_so_far": "give the average of the prices already fixed, above 0",
    "extreme_so_far": "give the lowest price so far for a call, the highest for a put, today's included",
    "correlation": "give the correlation of the two log returns, from -1 to 1",
    "quantity1": "give a quantity above 0, or leave it empty for 1",
    "quantity2": "give a quantity above 0, or leave it empty for 1",
    "extremum": "use min or max",
    "funding_kappa": "give the funding strength per year, or per period with funding_years, above 0",
    "funding_iota": "give the interest part of funding as a decimal, below funding_kappa",
    "funding_years": "give the funding period in years, 0 or empty for continuous funding",
    "funding_spot": "use previous or current",
    "settlement": "use linear or inverse",
    "power": "give the power of the spot, or leave it empty for 1",
    "method": "leave it empty for the style's own",
}
"""What to write instead, by field."""


SHARED_COLUMNS: Final = ("id", "style", "right", "strike", "years", "vol", "rate", "carry")
"""Columns that every table of contracts has; either of `spot` and `forward` besides."""

COLUMNS: Final = frozenset({"id", *REMEDIES})
"""Every column that some style reads."""


_MOST_GROWTH: Final = 700.0
_MOST_FIXINGS: Final = 100_000


class Fields:
    """A row's cells, read with checks. An empty cell is the default where there is one, else an error."""

    def __init__(self, cells: Mapping[str, Cell]) -> None:
        self._cells = cells

    def has(self, name: str) -> bool:
        """Whether the cell holds anything."""
        return self.text(name) != ""

    def text(self, name: str) -> str:
        """The cell as text without surrounding blanks, empty where there is none."""
        cell = self._cells.get(name)
        return "" if cell is None else str(cell).strip()

    def choice(self, name: str, options: tuple[str, ...], default: str | None = None) -> str:
        """One of `options`, in any case of letters."""
        text = self.text(name).lower()
        if text == "" and default is not None:
            return default
        if text == "":
            raise FieldError(name, "missing")
        if text not in options:
            raise FieldError(name, f"{self.text(name)!r} is not known")
        return text

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number."""
        text = self.text(name)
        if text == "":
            if default is None:
                raise FieldError(name, "missing")
            return default
        try:
            value = float(text.replace("_", "x"))  # 1_000 is Python's way to write a number, not a table's
        except ValueError:
            raise FieldError(name, f"{text!r} is not a number") from None
        if not math.isfinite(value):
            raise FieldError(name, f"{text} is not finite")
        return value

    def not_negative(self, name: str, default: float | None = None) -> float:
        """A finite number of 0 or more."""
        value = self.number(name, default)
        if value < 0.0:
            raise FieldError(name, f"{self.text(name)} is negative")
        return value

    def positive(self, name: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self.not_negative(name, default)
        if value == 0.0:
            raise FieldError(name, f"{self.text(name)} is not above 0")
        return value


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a style asks of the shared columns, and how its own are read.

    `is_terminal`: the payoff looks at the assets at expiry alone, so a forward says all there is to know of one.
    """

    terms: Callable[[Fields, _Common], Terms]
    has_right: bool = True
    has_strike: bool = True
    has_years: bool = True
    has_vol: bool = True
    is_terminal: bool = False
    default_right: str | None = None
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Common:
    """The columns every style shares, read; `implied` when vol is what is asked for."""

    sign: int
    strike: float
    years: float
    asset: Asset
    is_terminal: bool


def parse_contract(cells: Mapping[str, Cell], *, implied: bool = False) -> Contract:
    """The contract that a row of cells describes.

    Domain      vol and years above 0, but 0 or more for european and inverse; with `implied` the vol is not read
                and stands as NaN
    Errors      FieldError for the first field that cannot be used
    """
    fields = Fields(cells)
    style = _style(fields)
    rule = _RULES[style]
    if style in VANILLA:
        years = fields.not_negative("years")
        vol = math.nan if implied else fields.not_negative("vol")
    else:
        years = fields.positive("years") if rule.has_years else math.nan
        vol = math.nan if implied else _vol(fields, rule)
    rate, carry = fields.number("rate"), fields.number("carry")
    asset = _asset(fields, "", vol, carry, None if rule.is_terminal else years)
    common = _Common(_sign(fields, rule), _strike(fields, style, rule), years, asset, rule.is_terminal)
    terms = rule.terms(fields, common)
    return Contract(style, common.sign, common.strike, years, rate, asset, terms, _method(fields, rule))


def _style(fields: Fields) -> Style:
    """The row's style; a touch paid at expiry that has a right and a strike is a digital with a barrier."""
    style = Style(fields.choice("style", tuple(Style)))
    is_conditional = style is Style.TOUCH and fields.text("pay_at").lower() != "hit"
    return Style.DIGITAL if is_conditional and fields.has("right") and fields.has("strike") else style


def parse_price(cells: Mapping[str, Cell]) -> float:
    """The price from which a vol is to be implied."""
    return Fields(cells).not_negative("price")


def _vol(fields: Fields, rule: _Rule) -> float:
    """A style without a vol of its own may still name one: a power perpetual does."""
    return fields.positive("vol") if rule.has_vol else fields.not_negative("vol", 0.0)


def _sign(fields: Fields, rule: _Rule) -> int:
    if not rule.has_right:
        return 0
    return 1 if fields.choice("right", ("call", "put"), rule.default_right) == "call" else -1


def _strike(fields: Fields, style: Style, rule: _Rule) -> float:
    if style is Style.SPREAD:
        return fields.number("strike")
    return fields.positive("strike") if rule.has_strike else math.nan


def _method(fields: Fields, rule: _Rule) -> str:
    asked = fields.text("method").lower()
    if asked and asked not in rule.methods:
        known = ", ".join(rule.methods) or "none"
        raise FieldError("method", f"{asked!r} is not known for this style ({known})")
    return asked


def _asset(fields: Fields, suffix: str, vol: float, carry: float, years: float | None) -> Asset:
    """The asset of `spot` or `forward`; without `years` a forward is kept as it is, with no carry left."""
    spot, forward = f"spot{suffix}", f"forward{suffix}"
    if fields.has(spot) and fields.has(forward):
        raise FieldError(spot, f"{fields.text(spot)} is given beside a {forward} of {fields.text(forward)}")
    if fields.has(spot):
        return Asset(fields.positive(spot), vol, carry, is_forward=False)
    if not fields.has(forward):
        raise FieldError(spot, f"missing, and {forward} too")
    price = fields.positive(forward)
    if years is None:
        return Asset(price, vol, 0.0, is_forward=True)
    if math.isnan(years):
        raise FieldError(spot, f"missing; a {forward} needs an expiry")
    if abs(carry * years) > _MOST_GROWTH:
        raise FieldError(f"carry{suffix}", f"{carry:g} over {years:g} years is beyond any number")
    return Asset(price * math.exp(-carry * years), vol, carry, is_forward=True)


def _pair(fields: Fields, common: _Common, *, second_is_terminal: bool) -> Pair:
    correlation = fields.number("correlation")
    if abs(correlation) > 1.0:
        raise FieldError("correlation", f"{correlation:g} is beyond 1")
    needs_carry = fields.has("spot2") or not second_is_terminal
    carry = fields.number("carry2", None if needs_carry else 0.0)
    years = None if second_is_terminal else common.years
    return Pair(_asset(fields, "2", fields.positive("vol2"), carry, years), correlation)


def _barrier(fields: Fields) -> Barrier:
    kind = fields.choice("barrier_kind", ("down_in", "down_out", "up_in", "up_out"))
    level, rebate = fields.positive("barrier"), fields.not_negative("rebate", 0.0)
    return Barrier(level, kind.startswith("down"), kind.endswith("in"), rebate)


def _digital(fields: Fields, _: _Common) -> DigitalTerms:
    pays_asset = fields.choice("payoff", ("cash", "asset")) == "asset"
    cash = 0.0 if pays_asset else fields.not_negative("cash")
    has_barrier = fields.has("barrier") or fields.has("barrier_kind")
    return DigitalTerms(pays_asset, cash, _barrier(fields) if has_barrier else None)


def _touch(fields: Fields, _: _Common) -> TouchTerms:
    barrier = _barrier(fields)
    pays_asset = fields.choice("payoff", ("cash", "asset")) == "asset"
    cash = 0.0 if pays_asset else fields.not_negative("cash")
    at_hit = fields.choice("pay_at", ("hit", "expiry"), None if barrier.is_in else "expiry") == "hit"
    if at_hit and not barrier.is_in:
        raise FieldError("pay_at", "'hit' never comes for a barrier that knocks out")
    return TouchTerms(pays_asset, cash, barrier, at_hit)


def _asian(fields: Fields, common: _Common) -> AsianTerms:
    fixings = fields.not_negative("fixings")
    if fixings != int(fixings):
        raise FieldError("fixings", f"{fixings:g} is not whole")
    if fixings > _MOST_FIXINGS:
        raise FieldError("fixings", f"{fixings:g} is more than {_MOST_FIXINGS:,}, where 0 (continuous) is as good")
    elapsed = fields.not_negative("elapsed_years", 0.0)
    first = fields.not_negative("first_fixing_years") if fields.has("first_fixing_years") else None
    if first is not None and first > common.years:
        raise FieldError("first_fixing_years", f"{first:g} is after expiry in {common.years:g}")
    if first and elapsed:
        raise FieldError("elapsed_years", f"{elapsed:g} is given beside a first_fixing_years of {first:g}")
    average = fields.positive("average_so_far") if elapsed else math.nan
    is_geometric = fields.choice("average", ("arithmetic", "geometric")) == "geometric"
    return AsianTerms(is_geometric, int(fixings), first, elapsed, average)


def _lookback(fields: Fields, common: _Common) -> LookbackTerms:
    extreme = fields.positive("extreme_so_far", common.asset.spot)
    if common.sign * (common.asset.spot - extreme) < 0.0:
        side = "above" if common.sign > 0 else "below"
        raise FieldError("extreme_so_far", f"{extreme:g} is {side} the spot of {common.asset.spot:g}")
    return LookbackTerms(extreme)


def _quantities(fields: Fields, common: _Common) -> QuantityTerms:
    pair = _pair(fields, common, second_is_terminal=True)
    return QuantityTerms(pair, fields.positive("quantity1", 1.0), fields.positive("quantity2", 1.0))


def _spread(fields: Fields, common: _Common) -> SpreadTerms:
    return SpreadTerms(_pair(fields, common, second_is_terminal=True))


def _min_max(fields: Fields, common: _Common) -> MinMaxTerms:
    pair = _pair(fields, common, second_is_terminal=True)
    return MinMaxTerms(pair, fields.choice("extremum", ("min", "max")) == "max")


def _two_asset_barrier(fields: Fields, common: _Common) -> TwoAssetBarrierTerms:
    return TwoAssetBarrierTerms(_pair(fields, common, second_is_terminal=False), _barrier(fields))


def _two_asset_correlation(fields: Fields, common: _Common) -> TwoAssetCorrelationTerms:
    return TwoAssetCorrelationTerms(_pair(fields, common, second_is_terminal=True), fields.positive("strike2"))


def _perpetual(fields: Fields, common: _Common) -> PerpetualTerms:
    kappa, iota = fields.positive("funding_kappa"), fields.number("funding_iota", 0.0)
    if iota >= kappa:
        raise FieldError("funding_iota", f"{iota:g} is not below a funding_kappa of {kappa:g}")
    is_inverse = fields.choice("settlement", ("linear", "inverse"), "linear") == "inverse"
    power, period = fields.number("power", 1.0), fields.not_negative("funding_years", 0.0)
    if power != 1.0 and (is_inverse or period):
        raise FieldError("power", f"{power:g} is known for linear, continuously funded perpetuals alone")
    on_current = fields.choice("funding_spot", ("previous", "current"), "previous") == "current"
    return PerpetualTerms(kappa, iota, is_inverse, power, period, on_current)


def _everlasting(fields: Fields, _: _Common) -> EverlastingTerms:
    return EverlastingTerms(fields.positive("funding_kappa", 1.0), fields.positive("funding_years", 1.0 / 365.0))


def _no_terms(_: Fields, __: _Common) -> None:
    return None


def _barrier_terms(fields: Fields, _: _Common) -> Barrier:
    return _barrier(fields)


VANILLA: Final = frozenset({Style.EUROPEAN, Style.INVERSE})
"""Styles whose value is Black's formula, valued by column."""

_RULES: Final[dict[Style, _Rule]] = {
    Style.EUROPEAN: _Rule(_no_terms, is_terminal=True),
    Style.INVERSE: _Rule(_no_terms),
    Style.AMERICAN: _Rule(_no_terms, methods=("qdfp", "barone_adesi_whaley", "bjerksund_stensland")),
    Style.BARRIER: _Rule(_barrier_terms),
    Style.DIGITAL: _Rule(_digital),
    Style.TOUCH: _Rule(_touch, has_right=False, has_strike=False),
    Style.ASIAN: _Rule(_asian),
    Style.LOOKBACK: _Rule(_lookback, has_strike=False),
    Style.EXCHANGE: _Rule(_quantities, has_strike=False, default_right="call", is_terminal=True),
    Style.SPREAD: _Rule(_spread, is_terminal=True, methods=("kirk", "quadrature")),
    Style.BASKET: _Rule(_quantities, is_terminal=True),
    Style.MIN_MAX: _Rule(_min_max, is_terminal=True),
    Style.TWO_ASSET_BARRIER: _Rule(_two_asset_barrier, is_terminal=True),
    Style.TWO_ASSET_CORRELATION: _Rule(_two_asset_correlation, is_terminal=True),
    Style.PERPETUAL: _Rule(_perpetual, False, False, False, False),
    Style.EVERLASTING: _Rule(_everlasting, has_years=False),
}
