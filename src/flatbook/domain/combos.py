"""Combos by Deribit's names, and the legs they stand for.

    BTC-CS-27SEP24-60000_65000     call spread       BTC-FS-27SEP24_PERP            future spread
    BTC-PCAL-28MAR25_25APR25-80000 put calendar      BTC-STRG-27SEP24-50000_70000   strangle

A name prints back to itself even where its strategy is unknown; only its legs are then refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import parse_expiry


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
    head, *rest = name.split("-")
    match rest:
        case [strategy, expiries, *strikes] if strategy.isalnum() and len(strikes) <= 1:
            dates = tuple(expiries.split("_"))
            if all(date == "PERP" or parse_expiry(date) is not None for date in dates):
                return ComboName(head, strategy, dates, tuple(strikes[0].split("_")) if strikes else ())
    raise UnknownInstrumentError(f"combo {name!r} is not a Deribit name; expected such as BTC-CS-27SEP24-60000_65000")


def _option(combo: ComboName, expiry: str, strike: str, right: str, ratio: int) -> Leg:
    return Leg(f"{combo.underlying}-{expiry}-{strike}-{right}", ratio)


def _future(combo: ComboName, expiry: str, ratio: int) -> Leg:
    return Leg(f"{combo.underlying}-{'PERPETUAL' if expiry == 'PERP' else expiry}", ratio)


def _ladder(right: str, *ratios: int) -> Callable[[ComboName], list[Leg]]:
    """Options of one expiry and right at rising strikes, by the ratios given."""

    def legs(combo: ComboName) -> list[Leg]:
        (expiry,) = combo.expiries
        pairs = zip(combo.strikes, ratios, strict=True)
        return [_option(combo, expiry, strike, right, ratio) for strike, ratio in pairs]

    return legs


def _by_right(*rights_and_ratios: tuple[str, int]) -> Callable[[ComboName], list[Leg]]:
    """Options of one expiry, a right and ratio for each strike; a single strike serves all."""

    def legs(combo: ComboName) -> list[Leg]:
        (expiry,) = combo.expiries
        strikes = combo.strikes * len(rights_and_ratios) if len(combo.strikes) == 1 else combo.strikes
        pairs = zip(strikes, rights_and_ratios, strict=True)
        return [_option(combo, expiry, strike, right, ratio) for strike, (right, ratio) in pairs]

    return legs


def _calendar(right: str) -> Callable[[ComboName], list[Leg]]:
    """The far expiry bought, the near one sold; one strike, or one for each (a diagonal)."""

    def legs(combo: ComboName) -> list[Leg]:
        near, far = combo.expiries
        strikes = combo.strikes * 2 if len(combo.strikes) == 1 else combo.strikes
        near_strike, far_strike = strikes
        return [_option(combo, near, near_strike, right, -1), _option(combo, far, far_strike, right, 1)]

    return legs


def _future_spread(combo: ComboName) -> list[Leg]:
    first, second = combo.expiries
    () = combo.strikes
    return [_future(combo, first, 1), _future(combo, second, -1)]


STRATEGIES: dict[str, Callable[[ComboName], list[Leg]]] = {
    "FS": _future_spread,
    "CS": _ladder("C", 1, -1),
    "PS": _ladder("P", -1, 1),
    "CSR12": _ladder("C", 1, -2),
    "PSR12": _ladder("P", -2, 1),
    "CBUT": _ladder("C", 1, -2, 1),
    "PBUT": _ladder("P", 1, -2, 1),
    "CCOND": _ladder("C", 1, -1, -1, 1),
    "PCOND": _ladder("P", 1, -1, -1, 1),
    "STRD": _by_right(("C", 1), ("P", 1)),
    "STRG": _by_right(("P", 1), ("C", 1)),
    "RR": _by_right(("P", -1), ("C", 1)),
    "REV": _by_right(("C", 1), ("P", -1)),
    "ICOND": _by_right(("P", 1), ("P", -1), ("C", -1), ("C", 1)),
    "IBUT": _by_right(("P", 1), ("P", -1), ("C", -1), ("C", 1)),
    "CCAL": _calendar("C"),
    "PCAL": _calendar("P"),
    "CDIAG": _calendar("C"),
    "PDIAG": _calendar("P"),
}
"""Legs by strategy code. The direction is a buyer's: a bought risk reversal is long the call."""
