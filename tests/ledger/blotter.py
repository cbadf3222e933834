"""Ledger scenarios in the desk's own words. A line is an event, or an expectation of what the books say then.

    deposit   BTC 10                                       total     BTC premium -0.5 fees 0.003
    fill      BTC-28MAR25-80000-C buy 10 @ 0.05 fee 0.003  position  BTC-28MAR25-80000-C +10 cost 0.5 realised 0
    funding   BTC-PERPETUAL 0.0001 @ 82000                 balance   BTC 9.497
    settle    BTC-PERPETUAL @ 82000                        net       BTC-28MAR25-80000-C +10
    deliver   BTC 28MAR25 @ 82000
    pay       barrier-7 0.0125

Sizes are coins, or USD for inverse futures; money is in the settlement currency. `at VENUE`, `by STRATEGY` and `id
TRADE` may end a line; else it is the maker's at deribit, and each fill is a trade of its own.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from flatbook.domain.events import DailySettlement, Delivery, Fill, FundingRate, Payoff
from flatbook.domain.instruments import parse_expiry
from flatbook.domain.otc import otc_instrument
from flatbook.domain.units import exact_units
from flatbook.ledger import Entry, Ledger, PositionKey
from flatbook.venues.deribit import load_reference

REFERENCE = load_reference()
for over_the_counter, settled_in in (("barrier-7", "BTC"), ("asian-8", "USDC")):
    REFERENCE.register(otc_instrument(over_the_counter, "BTC", settled_in, parse_expiry("28MAR25") or 0))
STRATEGIES = ("hedge", "maker")


@dataclass(frozen=True)
class Line:
    """A line in its words; prices have lost their @, options their place."""

    text: str
    verb: str
    words: tuple[str, ...]
    venue: str = "deribit"
    strategy: str = "maker"
    options: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> Line:
    verb, *words = [word for word in text.split() if word != "@"]
    known = {"at", "by", "id"} | ({"fee"} if verb == "fill" else set())
    options: dict[str, str] = {}
    while len(words) > 2 and words[-2] in known:
        options[words[-2]] = words[-1]
        words = words[:-2]
    return Line(text, verb, tuple(words), options.get("at", "deribit"), options.get("by", "maker"), options)


def fill(text: str, clock_ns: int = 1) -> Fill:
    """The event that a `fill` line stands for."""
    line = parse(text)
    name, side, size, price = line.words
    instrument = REFERENCE.instrument(name)
    return Fill(
        exch_ts_ns=clock_ns,
        local_ts_ns=clock_ns,
        venue=line.venue,
        trade_id=line.options.get("id", str(clock_ns)),
        order_id="",
        instrument=name,
        side={"buy": 1, "sell": -1}[side],
        price_ticks=instrument.price_ticks(float(price)),
        size_lots=instrument.size_lots(float(size)),
        fee_units=exact_units(Decimal(line.options.get("fee", "0")), instrument.contract.settle),
        is_maker=True,
    )


class Blotter:
    """Runs lines against one ledger and checks its invariant after each. `entries` are those of the last line."""

    def __init__(self) -> None:
        self.ledger = Ledger(REFERENCE, STRATEGIES)
        self.entries: tuple[Entry, ...] = ()
        self._clock_ns = 0

    def run(self, text: str) -> Ledger:
        for line in map(parse, filter(None, map(str.strip, text.splitlines()))):
            self._clock_ns += 1
            try:
                getattr(self, f"_{line.verb}")(line)
            except AssertionError as failure:
                raise AssertionError(f"{line.text}\n{failure}") from None
            self.ledger.invariant()
        return self.ledger

    def _deposit(self, line: Line) -> None:
        currency, amount = line.words
        units = exact_units(Decimal(amount), currency)
        self.entries = (self.ledger.deposit(line.venue, currency, units, self._clock_ns),)

    def _fill(self, line: Line) -> None:
        entry = self.ledger.book_fill(fill(line.text, self._clock_ns), line.strategy)
        self.entries = (entry,) if entry else ()

    def _funding(self, line: Line) -> None:
        name, rate, price = line.words
        exch_ts_ns = int(line.options.get("id", self._clock_ns))
        event = FundingRate(
            exch_ts_ns=exch_ts_ns, local_ts_ns=self._clock_ns, instrument=name, rate=float(rate), hours=8
        )
        self.entries = self.ledger.book_funding(event, line.venue, float(price))

    def _settle(self, line: Line) -> None:
        name, price = line.words
        now_ns = self._clock_ns
        event = DailySettlement(exch_ts_ns=now_ns, local_ts_ns=now_ns, instrument=name, price_usd=float(price))
        self.entries = self.ledger.book_daily_settlement(event, line.venue)

    def _deliver(self, line: Line) -> None:
        underlying, expiry, price = line.words
        event = Delivery(
            exch_ts_ns=self._clock_ns,
            local_ts_ns=self._clock_ns,
            underlying=underlying,
            expiry_ns=parse_expiry(expiry) or 0,
            price_usd=float(price),
        )
        self.entries = self.ledger.book_delivery(event, line.venue)

    def _pay(self, line: Line) -> None:
        name, amount = line.words
        now_ns = self._clock_ns
        event = Payoff(exch_ts_ns=now_ns, local_ts_ns=now_ns, instrument=name, amount=float(amount))
        self.entries = self.ledger.book_payoff(event, line.venue)

    def _position(self, line: Line) -> None:
        name, size, *facts = line.words
        instrument = REFERENCE.instrument(name)
        position = self.ledger.positions()[PositionKey(line.venue, line.strategy, name)]
        assert position.size_lots == instrument.size_lots(float(size))
        for fact, amount in zip(facts[::2], facts[1::2], strict=True):
            assert getattr(position, f"{fact}_units") == exact_units(Decimal(amount), instrument.contract.settle), fact

    def _balance(self, line: Line) -> None:
        currency, amount = line.words
        assert self.ledger.balance(line.venue, currency) == exact_units(Decimal(amount), currency)

    def _total(self, line: Line) -> None:
        currency, *flows = line.words
        totals = self.ledger.totals(currency)
        for flow, amount in zip(flows[::2], flows[1::2], strict=True):
            name = "fees_paid_units" if flow == "fees" else f"{flow}_units"
            assert getattr(totals, name) == exact_units(Decimal(amount), currency), flow

    def _net(self, line: Line) -> None:
        name, size = line.words
        assert self.ledger.net_lots(name) == REFERENCE.instrument(name).size_lots(float(size))
