"""How contracts trade: tick steps, lots, sizes and fees, as dated data joined to what a name says.

A price in the books is an integer of the contract's finest tick, a size an integer of lots. One tick-lot of an option,
a linear contract or spot is a whole number of the settlement currency's units, so money is exact by construction. Where
it is not, on spot whose steps are finer than a dollar coin's units and on an inverse future, which divides, a trade
rounds once, against us.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import isfinite
from typing import Any

from flatbook.domain.errors import BadInputError, ConfigurationError, FlatbookError, UnknownInstrumentError
from flatbook.domain.instruments import ContractName, Kind, parse_name
from flatbook.domain.units import exact_units, parse_utc, units_per_coin


@dataclass(frozen=True)
class TickSteps:
    """The price grid: `finest` up to `above`, then multiples of `coarse` (no step where `above` is None)."""

    finest: Decimal
    above: Decimal | None = None
    coarse: Decimal | None = None

    @cached_property
    def above_ticks(self) -> int:
        """The step's threshold in finest ticks; beyond every price where there is no step."""
        return int(self.above / self.finest) if self.above is not None else 2**62

    @cached_property
    def coarse_ticks(self) -> int:
        """The coarse step in finest ticks; 1 where there is no step."""
        return int(self.coarse / self.finest) if self.coarse is not None else 1


@dataclass(frozen=True, slots=True)
class Fees:
    """Rates on the underlying's notional. Positive is paid, a rebate is negative.

    `cap_of_premium` bounds an option's fee by a share of its premium; None where there is no cap.
    """

    maker: Decimal
    taker: Decimal
    delivery: Decimal
    cap_of_premium: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """How one family of contracts trades since `effective_ns`; `source` says who says so.

    `lot` is the smallest amount: coins for options, linear contracts and spot, USD for inverse futures.
    """

    ticks: TickSteps
    lot: Decimal
    fees: Fees
    effective_ns: int
    source: str


@dataclass(frozen=True)
class Instrument:
    """A contract one can trade: what its name says, and how it trades."""

    name: str
    contract: ContractName
    spec: ContractSpec

    @cached_property
    def tick_size(self) -> float:
        """The finest tick as a float, in quote currency (coin for an inverse option)."""
        return float(self.spec.ticks.finest)

    @cached_property
    def lot_size(self) -> float:
        """One lot as a float: coins, or USD for inverse futures and perpetuals."""
        return float(self.spec.lot)

    @cached_property
    def maker_fee(self) -> tuple[float, float]:
        """The maker's rate of the notional, and its cap as a share of the premium, as floats; no cap is one of 1."""
        return float(self.spec.fees.maker), float(self.spec.fees.cap_of_premium or 1)

    @cached_property
    def is_reciprocal(self) -> bool:
        """Whether coin P&L goes with one over the price: inverse futures and perpetuals, never options."""
        return self.contract.is_inverse and self.contract.kind in (Kind.FUTURE, Kind.PERPETUAL)

    @cached_property
    def units_per_tick_lot(self) -> int:
        """Settlement units one lot gains per finest tick of price; a reciprocal contract has no such number."""
        if self.is_reciprocal:
            raise FlatbookError(f"{self.name} is worth USD over price: it has no constant value per tick")
        return exact_units(self.spec.ticks.finest * self.spec.lot, self.contract.settle)

    def price_ticks(self, price: float) -> int:
        """`price` in finest ticks, which it must be a multiple of to a thousandth."""
        ticks = _whole(price / self.tick_size)
        if ticks is None:
            raise BadInputError(f"{self.name}: price {price} is not a multiple of the tick {self.spec.ticks.finest}")
        return ticks

    def size_lots(self, amount: float) -> int:
        """`amount` (coins, or USD for inverse futures) in lots, which it must be a multiple of to a thousandth."""
        lots = _whole(amount / self.lot_size)
        if lots is None:
            raise BadInputError(f"{self.name}: size {amount} is not a multiple of the lot {self.spec.lot}")
        return lots

    def value_units(self, price_ticks: int, size_lots: int) -> int:
        """Settlement units that trading `size_lots` at `price_ticks` costs; negative is received.

        A reciprocal contract's is minus its notional over the price: long USD notional is short coin. What is no whole
        unit is rounded up, against us on either side; so closing `size_lots` would bring `-value_units(price, -size)`.

        Errors      BadInputError for a reciprocal contract at no positive price
        """
        if not self.is_reciprocal:
            units, tick_lots = self._units_of_tick_lots
            return -(-price_ticks * size_lots * units // tick_lots)
        self._refuse_no_price(price_ticks)
        units_times_ticks, per_lot = self._unit_ticks_per_lot
        return -(size_lots * units_times_ticks // (price_ticks * per_lot))

    @cached_property
    def _units_of_tick_lots(self) -> tuple[int, int]:
        """Units that so many tick-lots are worth, as an exact ratio; the second is 1 but for the finest of steps."""
        exact = Fraction(self.spec.ticks.finest) * Fraction(self.spec.lot) * units_per_coin(self.contract.settle)
        return exact.as_integer_ratio()

    @cached_property
    def _unit_ticks_per_lot(self) -> tuple[int, int]:
        """Units one lot of a reciprocal contract is worth at a price of one tick, as an exact ratio."""
        exact = Fraction(self.spec.lot) / Fraction(self.spec.ticks.finest) * units_per_coin(self.contract.settle)
        return exact.as_integer_ratio()

    def fee_units(self, price_ticks: int, size_lots: int, index_price: Decimal, rate: Decimal) -> int:
        """Fee in settlement units for |size| lots at `rate` of the underlying's notional; rounded up, against us."""
        size_units = self.spec.lot * abs(size_lots) * units_per_coin(self.contract.settle)
        price = self.spec.ticks.finest * price_ticks
        fee = rate * size_units
        if self.is_reciprocal:
            self._refuse_no_price(price_ticks)
            fee /= price
        elif self.contract.kind is not Kind.OPTION:
            fee *= price
        elif not self.contract.is_inverse:
            fee *= index_price
        cap = self.spec.fees.cap_of_premium
        if cap is not None and rate > 0:
            fee = min(fee, cap * price * size_units)
        return _ceiling(fee)

    def _refuse_no_price(self, price_ticks: int) -> None:
        if price_ticks <= 0:
            raise BadInputError(f"{self.name}: a contract worth USD over price has no value at {price_ticks} ticks")


def _ceiling(amount: Decimal) -> int:
    whole = int(amount)
    return whole + (amount > whole)


def _whole(exact: float) -> int | None:
    """`exact` as an integer, or None where it is not within a thousandth of one (NaN and infinity never are)."""
    whole = round(exact) if isfinite(exact) else 0
    return whole if abs(exact - whole) <= 1e-3 else None


class ReferenceData:
    """Instruments by name, from a dated table of contract families.

    A family is keyed `underlying/kind` (`BTC/option`, `BTC_USDC/perpetual`); `*` stands for any underlying.
    """

    def __init__(self, families: dict[str, ContractSpec]) -> None:
        self._families = families
        self._known: dict[str, Instrument] = {}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> "ReferenceData":
        """Reads the shape of a contracts TOML: `[family."BTC/option"] tick=… lot=… maker=…` and so on."""
        return cls({key: _spec(key, row) for key, row in table["family"].items()})

    def register(self, instrument: Instrument) -> None:
        """Makes an instrument known by a name that no convention explains.

        Errors      BadInputError where another instrument has the name
        """
        if self._known.setdefault(instrument.name, instrument) != instrument:
            raise BadInputError(f"instrument {instrument.name!r} is already known as another contract; rename one")

    def instrument(self, name: str) -> Instrument:
        """The instrument called `name`; the same object every time."""
        known = self._known.get(name)
        if known is not None:
            return known
        contract = parse_name(name)
        pair = contract.base if contract.is_inverse else f"{contract.base}_{contract.quote}"
        any_pair = "*" if contract.is_inverse else f"*_{contract.quote}"
        spec = self._families.get(f"{pair}/{contract.kind}") or self._families.get(f"{any_pair}/{contract.kind}")
        if spec is None:
            raise UnknownInstrumentError(
                f"instrument {name!r}: no contract family {pair}/{contract.kind} is configured"
            )
        return self._known.setdefault(name, Instrument(name, contract, spec))


def _spec(key: str, row: dict[str, Any]) -> ContractSpec:
    def number(field: str) -> Decimal | None:
        return Decimal(str(row[field])) if field in row else None

    def required(field: str) -> Decimal:
        value = number(field)
        if value is None:
            raise ConfigurationError(f"contract family {key!r}: {field} is missing; add it")
        return value

    return ContractSpec(
        ticks=TickSteps(required("tick"), number("tick_above"), number("tick_coarse")),
        lot=required("lot"),
        fees=Fees(required("maker"), required("taker"), required("delivery"), number("cap_of_premium")),
        effective_ns=parse_utc(str(row["effective"])),
        source=str(row["source"]),
    )
