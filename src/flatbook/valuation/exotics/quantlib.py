"""QuantLib behind one typed door.

QuantLib counts time in whole days, contracts here in any fraction of a year. A contract in a flat market depends on
time only through vol^2 years, rate years and carry years; so every contract is put on one clock, `TODAY` to `EXPIRY`,
which is exactly one year, and its own years go into the quotes. No date is ever rounded.

The evaluation date is a global of QuantLib's. It is set here, once, when this module is imported, and nowhere else;
the term structures are pinned to `TODAY` and do not follow it.

Source: QuantLib, https://www.quantlib.org (the engines' own pages name the papers).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Final

from flatbook.domain.errors import FlatbookError

with warnings.catch_warnings():
    # SWIG's own types lack __module__, which Python 3.12 and later deprecate on import.
    warnings.simplefilter("ignore", DeprecationWarning)
    import QuantLib as ql  # noqa: N813

__all__ = [
    "ANY_TIME",
    "ANY_TIME_PAID_LATE",
    "AT_EXPIRY",
    "EngineError",
    "FlatMarket",
    "barrier_type",
    "binary_payoff",
    "black_value",
    "npv",
    "option_type",
    "plain_payoff",
    "ql",
    "with_engine",
]

TODAY: Final[Any] = ql.Date(1, 1, 2001)
EXPIRY: Final[Any] = TODAY + 365
_DAY_COUNT: Final[Any] = ql.Actual365Fixed()

ql.Settings.instance().evaluationDate = TODAY

AT_EXPIRY: Final[Any] = ql.EuropeanExercise(EXPIRY)
ANY_TIME: Final[Any] = ql.AmericanExercise(TODAY, EXPIRY)
ANY_TIME_PAID_LATE: Final[Any] = ql.AmericanExercise(TODAY, EXPIRY, True)


class EngineError(FlatbookError):
    """An engine that gave no number for these inputs, with its own words."""


class FlatMarket:
    """One asset with constant parameters, whose quotes can be moved under instruments already built on it."""

    def __init__(self) -> None:
        self._spot, self._rate, self._yield, self._vol = (ql.SimpleQuote(value) for value in (1.0, 0.0, 0.0, 0.1))
        discount, dividend = (
            ql.YieldTermStructureHandle(ql.FlatForward(TODAY, ql.QuoteHandle(quote), _DAY_COUNT))
            for quote in (self._rate, self._yield)
        )
        vol = ql.BlackConstantVol(TODAY, ql.NullCalendar(), ql.QuoteHandle(self._vol), _DAY_COUNT)
        self.process: Any = ql.GeneralizedBlackScholesProcess(
            ql.QuoteHandle(self._spot), dividend, discount, ql.BlackVolTermStructureHandle(vol)
        )

    def move(self, spot: float, vol: float, years: float, rate: float, carry: float) -> None:
        """Put the market where `vol`, `rate` and `carry` act over `years`."""
        self._spot.setValue(spot)
        self._vol.setValue(vol * math.sqrt(years))
        self._rate.setValue(rate * years)
        self._yield.setValue((rate - carry) * years)


def option_type(sign: int) -> Any:
    """QuantLib's call for +1 and put for -1."""
    return ql.Option.Call if sign > 0 else ql.Option.Put


def plain_payoff(sign: int, strike: float) -> Any:
    """max(sign (S - strike), 0)."""
    return ql.PlainVanillaPayoff(option_type(sign), strike)


def binary_payoff(sign: int, strike: float, cash: float, *, pays_asset: bool) -> Any:
    """`cash` or the asset, where sign (S - strike) > 0."""
    if pays_asset:
        return ql.AssetOrNothingPayoff(option_type(sign), strike)
    return ql.CashOrNothingPayoff(option_type(sign), strike, cash)


def barrier_type(*, is_down: bool, is_in: bool) -> Any:
    """QuantLib's name of a single barrier."""
    if is_in:
        return ql.Barrier.DownIn if is_down else ql.Barrier.UpIn
    return ql.Barrier.DownOut if is_down else ql.Barrier.UpOut


def with_engine(instrument: Any, engine: Any) -> Any:
    """`instrument`, to be valued by `engine` from now on."""
    instrument.setPricingEngine(engine)
    return instrument


def npv(instrument: Any) -> float:
    """Value where the instrument's markets stand now.

    Errors      EngineError when the engine refuses the inputs or gives no finite number
    """
    return _finite(instrument.NPV)


def black_value(sign: int, strike: float, forward: float, width: float, discount: float) -> float:
    """Black's formula with `width` = vol sqrt(years); a strike of 0 or less is a forward or nothing.

    Errors      EngineError as `npv`
    """
    if strike <= 0.0:
        return discount * max(sign * (forward - strike), 0.0)
    return _finite(ql.blackFormula, option_type(sign), strike, forward, width, discount)


def _finite(formula: Callable[..., Any], *inputs: object) -> float:
    try:
        value = float(formula(*inputs))
    except RuntimeError as error:  # what QuantLib's own exceptions become in Python
        reason = str(error).splitlines()[0]
        raise EngineError(f"QuantLib's engine refuses these inputs: {reason}") from None
    if not math.isfinite(value):
        raise EngineError("QuantLib's engine gives no finite number for these inputs")
    return value
