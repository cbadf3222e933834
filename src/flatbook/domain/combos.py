"""Combos by Deribit's names, and the legs they stand for.

    BTC-CS-27SEP24-60000_65000      call spread      BTC-FS-27SEP24_PERP             future spread
    BTC-PCAL-25APR25_28MAR25-80000  put calendar     BTC-STRG-27SEP24-50000_70000    strangle

The name's order says which leg is bought: of a vertical the first strike (the high one of a put spread), of a calendar
the first expiry (the far one). A name prints back to itself even where its strategy is unknown; only its legs are then
refused, because a guessed sign would be worse than none.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import parse_expiry

_UNDERLYING = re.compile(r"[A-Z0-9]+(?:_[A-Z]+)?")
_STRATEGY = re.compile(r"[A-Z]+[0-9]*")
_STRIKES = re.compile(r"[0-9]+(?:d[0-9]+)?(?:_[0-9]+(?:d[0-9]+)?)*")
_PERPETUAL = "PERP"


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg: instrument and how many of it a bought combo buys (negative: sells)."""

    instrument: str
    ratio: int


@dataclass(frozen=True, slots=True)
class ComboName:
    """A combo's name in its parts: underlying, strategy code, expiries, strikes as written."""

    underlying: str
    strategy: str
    expiries: tuple[str, ...]
    strikes: tuple[str, ...]

    def __str__(self) -> str:
        parts = [self.underlying, self.strategy, "_".join(self.expiries)]
        return "-".join([*parts, "_".join(self.strikes)] if self.strikes else parts)

    def legs(self) -> tuple[Leg, ...]:
        """The legs of one bought combo.

        Errors      UnknownInstrumentError where `STRATEGIES` has no such strategy, or one of another shape
        """
        build = STRATEGIES.get(self.strategy)
        if build is None:
            raise UnknownInstrumentError(f"combo {self}: strategy {self.strategy!r} has no known legs")
        try:
            return tuple(build(self))
        except ValueError:
            shape = f"{len(self.expiries)} expiries and {len(self.strikes)} strikes"
            raise UnknownInstrumentError(f"combo {self}: {self.strategy} does not take {shape}") from None


def parse_combo(name: str) -> ComboName:
    """The parts of a combo's name.

    Errors      UnknownInstrumentError where it is not a combo's name
    """
    underlying, *rest = name.split("-")
    match rest:
        case [strategy, expiries, *strikes] if _are_words(underlying, strategy) and len(strikes) <= 1:
            dates = tuple(expiries.split("_"))
            are_dates = all(date == _PERPETUAL or parse_expiry(date) is not None for date in dates)
            if are_dates and all(_STRIKES.fullmatch(part) for part in strikes):
                return ComboName(underlying, strategy, dates, tuple(strikes[0].split("_")) if strikes else ())
    raise UnknownInstrumentError(f"combo {name!r} is not a Deribit name; expected such as BTC-CS-27SEP24-60000_65000")


def _are_words(underlying: str, strategy: str) -> bool:
    return bool(_UNDERLYING.fullmatch(underlying) and _STRATEGY.fullmatch(strategy))


def _option(combo: ComboName, expiry: str, strike: str, right: str, ratio: int) -> Leg:
    if expiry == _PERPETUAL:
        raise ValueError(expiry)
    return Leg(f"{combo.underlying}-{expiry}-{strike}-{right}", ratio)


def _same_expiry(*legs_of_strikes: Sequence[tuple[str, int]]) -> Callable[[ComboName], list[Leg]]:
    """Options of one expiry: for each strike, in the name's order, its rights and ratios."""

    def legs(combo: ComboName) -> list[Leg]:
        (expiry,) = combo.expiries
        by_strike = zip(combo.strikes, legs_of_strikes, strict=True)
        return [_option(combo, expiry, strike, right, ratio) for strike, pairs in by_strike for right, ratio in pairs]

    return legs


def _one_right(right: str, *ratios: int) -> Callable[[ComboName], list[Leg]]:
    """Options of one expiry and right, by the ratios of the strikes as named."""
    return _same_expiry(*[[(right, ratio)] for ratio in ratios])


def _calendar(rights: str, strike_count: int) -> Callable[[ComboName], list[Leg]]:
    """The first expiry bought, the second sold; one strike for both, or one for each (a diagonal)."""

    def legs(combo: ComboName) -> list[Leg]:
        bought, sold = combo.expiries
        if len(combo.strikes) != strike_count:
            raise ValueError(combo.strikes)
        sides = ((bought, combo.strikes[0], 1), (sold, combo.strikes[-1], -1))
        return [_option(combo, expiry, strike, right, ratio) for expiry, strike, ratio in sides for right in rights]

    return legs


def _future_spread(combo: ComboName) -> list[Leg]:
    bought, sold = combo.expiries
    () = combo.strikes
    return [
        Leg(f"{combo.underlying}-{'PERPETUAL' if expiry == _PERPETUAL else expiry}", ratio)
        for expiry, ratio in ((bought, 1), (sold, -1))
    ]


STRATEGIES: dict[str, Callable[[ComboName], list[Leg]]] = {
    "FS": _future_spread,
    "CS": _one_right("C", 1, -1),
    "PS": _one_right("P", 1, -1),
    "CSR12": _one_right("C", 1, -2),
    "CSR13": _one_right("C", 1, -3),
    "CSR23": _one_right("C", 2, -3),
    "PSR12": _one_right("P", 1, -2),
    "PSR13": _one_right("P", 1, -3),
    "PSR23": _one_right("P", 2, -3),
    "CLAD": _one_right("C", 1, -1, -1),
    "PLAD": _one_right("P", 1, -1, -1),
    "CBUT": _one_right("C", 1, -2, 1),
    "PBUT": _one_right("P", 1, -2, 1),
    "CCOND": _one_right("C", 1, -1, -1, 1),
    "PCOND": _one_right("P", 1, -1, -1, 1),
    "STRD": _same_expiry([("C", 1), ("P", 1)]),
    "STRG": _same_expiry([("P", 1)], [("C", 1)]),
    "GUTS": _same_expiry([("C", 1)], [("P", 1)]),
    "RR": _same_expiry([("P", -1)], [("C", 1)]),
    "RRITM": _same_expiry([("C", 1)], [("P", -1)]),
    "REV": _same_expiry([("C", 1), ("P", -1)]),
    "ICOND": _same_expiry([("P", 1)], [("P", -1)], [("C", -1)], [("C", 1)]),
    "IBUT": _same_expiry([("P", 1)], [("P", -1), ("C", -1)], [("C", 1)]),
    "BOX": _same_expiry([("C", 1), ("P", -1)], [("C", -1), ("P", 1)]),
    "CCAL": _calendar("C", 1),
    "PCAL": _calendar("P", 1),
    "CDIAG": _calendar("C", 2),
    "PDIAG": _calendar("P", 2),
    "STDC": _calendar("CP", 1),
    "DSTDC": _calendar("CP", 2),
}
"""Legs by strategy code; a buyer's, so a bought risk reversal is long the call and a bought iron condor long its wings.

Ratios, relative signs and the order of strikes and expiries are those of the legs that recorded combo trades print.
Which side is the buyer's: the venue's lists of combos (BOX, CS, FS, REV), a bought iron condor's negative mark, a
bought RRITM's positive delta. PSR23, CLAD, CCOND, PCOND and STDC mirror a recorded sibling. JR, CBUT111 and PBUT111
exist too; no print shows their signs, so they stay unknown.
"""
