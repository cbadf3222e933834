"""The ledger's independent witness: the same events in fractions of a coin, by the formulas of the field.

It keeps no cost, no accounts and no integers; profit is flows plus the value of what is held. What it needs of a
contract it is told in the table below, not by the reference data.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Terms:
    """`form`: how it pays. `lot` in coins, or USD where inverse futures; `tick` in its price."""

    form: str
    settle: str
    lot: Fraction
    tick: Fraction
    strike: int = 0
    delivery_fee: Fraction = Fraction(0)


CONTRACTS = {
    "BTC-28MAR25-80000-C": Terms(
        "inverse call", "BTC", Fraction("0.1"), Fraction("0.0001"), 80_000, Fraction("0.00015")
    ),
    "BTC-28MAR25-90000-P": Terms(
        "inverse put", "BTC", Fraction("0.1"), Fraction("0.0001"), 90_000, Fraction("0.00015")
    ),
    "BTC_USDC-28MAR25-85000-C": Terms("call", "USDC", Fraction("0.01"), Fraction(5), 85_000, Fraction("0.00015")),
    "BTC-28MAR25": Terms("inverse future", "BTC", Fraction(10), Fraction("2.5"), 0, Fraction("0.00025")),
    "BTC-PERPETUAL": Terms("inverse future", "BTC", Fraction(10), Fraction("0.5")),
    "BTC_USDC-PERPETUAL": Terms("future", "USDC", Fraction("0.001"), Fraction(1)),
    "barrier-7": Terms("otc", "BTC", Fraction("0.01"), Fraction("0.000001")),
    "asian-8": Terms("otc", "USDC", Fraction("0.01"), Fraction("0.0001")),
}
EXPIRING = [name for name in CONTRACTS if "28MAR25" in name]
OVER_THE_COUNTER = ["barrier-7", "asian-8"]
PERPETUALS = ["BTC-PERPETUAL", "BTC_USDC-PERPETUAL"]
UNITS = {"BTC": 10**8, "USDC": 10**6}


@dataclass
class ExactTwin:
    """Flows and holdings by exact arithmetic, and how often the books had to round against us, by currency."""

    flows: defaultdict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    held: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    roundings: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def fill(self, venue: str, name: str, lots: int, ticks: int, fee_units: int) -> None:
        terms = CONTRACTS[name]
        self.flows[terms.settle] -= worth(terms, lots, ticks * terms.tick) + Fraction(fee_units, UNITS[terms.settle])
        self.held[venue, name] += lots
        self.roundings[terms.settle] += terms.form == "inverse future"

    def funding(self, venue: str, name: str, rate: Fraction, price: Fraction) -> None:
        terms = CONTRACTS[name]
        coins_or_dollars = abs(worth(terms, 1, price)) * self.held[venue, name]
        self.flows[terms.settle] -= rate * coins_or_dollars
        self.roundings[terms.settle] += 1

    def pay(self, venue: str, name: str, amount: Fraction) -> None:
        terms, lots = CONTRACTS[name], self.held.pop((venue, name), 0)
        self.flows[terms.settle] += lots * terms.lot * amount
        self.roundings[terms.settle] += 1

    def deliver(self, venue: str, price: Fraction) -> None:
        for name in EXPIRING:
            terms, lots = CONTRACTS[name], self.held.pop((venue, name), 0)
            value = settled(terms, lots, price)
            self.flows[terms.settle] += value - delivery_fee(terms, lots, price)
            self.roundings[terms.settle] += 2

    def profit(self, currency: str, marks: dict[str, Fraction]) -> Fraction:
        """`marks` are prices of the contracts, an option's in its premium currency."""
        value = sum(
            (
                worth(CONTRACTS[name], lots, marks[name])
                for (_, name), lots in self.held.items()
                if settles(name, currency)
            ),
            Fraction(0),
        )
        return self.flows[currency] + value


def settles(name: str, currency: str) -> bool:
    return CONTRACTS[name].settle == currency


def worth(terms: Terms, lots: int, price: Fraction) -> Fraction:
    """What holding `lots` at a price of the contract is worth: n times p, or minus n over p for an inverse future."""
    size = lots * terms.lot
    return -size / price if terms.form == "inverse future" else size * price


def settled(terms: Terms, lots: int, index: Fraction) -> Fraction:
    size = lots * terms.lot
    match terms.form:
        case "inverse call":
            return size * max(Fraction(0), 1 - terms.strike / index)
        case "inverse put":
            return size * max(Fraction(0), terms.strike / index - 1)
        case "call":
            return size * max(Fraction(0), index - terms.strike)
        case _:
            return worth(terms, lots, index)


def delivery_fee(terms: Terms, lots: int, index: Fraction) -> Fraction:
    size = abs(lots) * terms.lot
    match terms.form:
        case "inverse future":
            return terms.delivery_fee * size / index
        case "call":
            return min(terms.delivery_fee * size * index, abs(settled(terms, lots, index)) / 8)
        case _:
            return min(terms.delivery_fee * size, abs(settled(terms, lots, index)) / 8)
