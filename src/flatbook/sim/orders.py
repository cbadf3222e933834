"""Our single orders at the venue: checked, then taken at once, rested, or refused with a reason.

An immediate-or-cancel order takes what its limit allows and loses the rest; a good-till-cancelled one rests at its
limit, and fills there, as a maker, once the market's best price on the other side comes to it. Orders in options are
immediate-or-cancel, for what rests in them are quotes. A dated future can be ordered while its price is known.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderEvent, OrderRejected
from flatbook.domain.instruments import Kind
from flatbook.domain.intents import OrderIntent, TimeInForce
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.ticks import is_on_grid
from flatbook.engine.effects import Order
from flatbook.sim.clocks import Clocks
from flatbook.sim.option_market import OptionMarket, OptionTerms, no_touch
from flatbook.sim.perpetual import Execution, PerpetualMarket


@dataclass(frozen=True, slots=True)
class _Resting:
    """A good-till-cancelled order's remainder."""

    order_id: str
    instrument: Instrument
    side: int
    limit_ticks: int
    size_lots: int


class Cashier:
    """Writes fills: names the venue, numbers the trades, and asks the fee schedule."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._trades = 0

    def fill(
        self, order_id: str, instrument: Instrument, side: int, price_ticks: int, size_lots: int, index_usd: float,
        is_maker: bool, clocks: Clocks,
    ) -> Fill:  # fmt: skip
        """A fill of ours; the fee is the schedule's for makers or takers, at the index of the moment."""
        self._trades += 1
        fees = instrument.spec.fees
        rate = fees.maker if is_maker else fees.taker
        return Fill(
            exch_ts_ns=clocks.exch_ns,
            local_ts_ns=clocks.local_ns,
            venue=self._venue,
            trade_id=f"{self._venue}-{self._trades}",
            order_id=order_id,
            instrument=instrument.name,
            side=side,
            price_ticks=price_ticks,
            size_lots=size_lots,
            fee_units=instrument.fee_units(price_ticks, size_lots, Decimal(repr(index_usd)), rate),
            is_maker=is_maker,
        )


class OrderDesk:
    """Takes our orders against the market in perpetuals, futures and spot, and that in options.

    Invariant   every order id is used once; what rests is on the tick grid and has lots left; `traded` are perpetuals
    """

    def __init__(
        self, reference: ReferenceData, market: PerpetualMarket, cashier: Cashier, options: OptionMarket | None = None
    ) -> None:
        self._reference = reference
        self._market = market
        self._options = options or OptionMarket(OptionTerms(), no_touch)
        self._cashier = cashier
        self._seen: set[str] = set()
        self._resting: list[_Resting] = []
        self.traded: set[str] = set()

    def arrive(self, order: Order, clocks: Clocks, index_usd: Callable[[str], float | None]) -> Iterator[OrderEvent]:
        """What the venue answers to an order that reaches it now; `index_usd` gives an underlying's last index."""
        reason, instrument = self._refusal(order)
        if instrument is None or reason:
            yield _rejected(order.order_id, reason, clocks)
            return
        self._seen.add(order.order_id)
        index = index_usd(instrument.contract.base)
        if index is None:
            yield _rejected(order.order_id, f"no index of {instrument.contract.base} yet", clocks)
            return
        yield from self._take(order, instrument, index, clocks)

    def tick(self, underlying: str, index_usd: float, clocks: Callable[[], Clocks]) -> Iterator[OrderEvent]:
        """Fills what rests where the index has brought the market's other side to it."""
        for resting in [held for held in self._resting if held.instrument.contract.base == underlying]:
            best = self._market.touch_usd(resting.instrument.name, index_usd, resting.side)
            if resting.side * (resting.limit_ticks * resting.instrument.tick_size - best) >= 0:
                self._resting.remove(resting)
                yield self._cashier.fill(
                    resting.order_id, resting.instrument, resting.side, resting.limit_ticks, resting.size_lots,
                    index_usd, is_maker=True, clocks=clocks(),
                )  # fmt: skip

    def cancel(self, order_id: str, clocks: Callable[[], Clocks]) -> Iterator[OrderEvent]:
        """Pulls what rests of an order; one that rests no more has had its answer."""
        for resting in [held for held in self._resting if held.order_id == order_id]:
            self._resting.remove(resting)
            at = clocks()
            yield OrderCancelled(
                exch_ts_ns=at.exch_ns, local_ts_ns=at.local_ns, order_id=order_id, reason="pulled by us"
            )

    @property
    def has_resting(self) -> bool:
        """Whether any order rests, so that a tick may fill it."""
        return bool(self._resting)

    def _take(self, order: Order, instrument: Instrument, index_usd: float, clocks: Clocks) -> Iterator[OrderEvent]:
        intent = order.intent
        done = self._execution(intent, instrument, index_usd, clocks.exch_ns)
        left_lots = intent.size_lots - done.size_lots
        rests = intent.time_in_force is TimeInForce.GTC
        if done.size_lots == 0 and not rests:
            limit = intent.limit_ticks * instrument.tick_size
            best = self._best(intent, instrument, index_usd, clocks.exch_ns)
            yield _rejected(order.order_id, f"nothing to take at {limit:g}: {best}", clocks)
            return
        if instrument.contract.kind is Kind.PERPETUAL:
            self.traded.add(instrument.name)
        yield OrderAccepted(exch_ts_ns=clocks.exch_ns, local_ts_ns=clocks.local_ns, order_id=order.order_id)
        if done.size_lots:
            yield self._cashier.fill(
                order.order_id, instrument, intent.side, done.price_ticks, done.size_lots,
                index_usd, is_maker=False, clocks=clocks,
            )  # fmt: skip
        if left_lots and rests:
            self._resting.append(_resting(order, instrument, left_lots))
        elif left_lots:
            yield OrderCancelled(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                order_id=order.order_id,
                reason=f"immediate-or-cancel: {left_lots} lots beyond the limit",
            )

    def _execution(self, intent: OrderIntent, instrument: Instrument, index_usd: float, now_ns: int) -> Execution:
        side, lots, limit = intent.side, intent.size_lots, intent.limit_ticks
        if instrument.contract.kind is Kind.OPTION:
            return self._options.take(instrument, side, lots, limit, now_ns)
        return self._market.take(instrument, side, lots, limit, index_usd, now_ns)

    def _best(self, intent: OrderIntent, instrument: Instrument, index_usd: float, now_ns: int) -> str:
        if instrument.contract.kind is not Kind.OPTION:
            return f"best is {self._market.touch_usd(instrument.name, index_usd, intent.side):.2f} before impact"
        ticks = self._options.touch(instrument, intent.side, now_ns)
        return f"best is {ticks * instrument.tick_size:g}, or all of it is taken" if ticks else "nobody shows a price"

    def _refusal(self, order: Order) -> tuple[str, Instrument | None]:
        """Why the venue refuses the order (empty where it does not), and the instrument where it is known."""
        try:
            instrument = self._reference.instrument(order.intent.instrument)
        except UnknownInstrumentError as error:
            return str(error), None
        if order.order_id in self._seen:
            return f"order id {order.order_id!r} was used before", instrument
        if instrument.contract.kind is Kind.FUTURE and instrument.name not in self._market.premium_of:
            return f"no price of {instrument.name} yet", instrument
        return _contract_refusal(order.intent, instrument), instrument


def _contract_refusal(intent: OrderIntent, instrument: Instrument) -> str:
    kind = instrument.contract.kind
    if kind not in (Kind.PERPETUAL, Kind.FUTURE, Kind.SPOT, Kind.OPTION):
        return f"{instrument.name} takes no orders here; they are for perpetuals, futures, spot and options"
    if kind is Kind.OPTION and intent.time_in_force is not TimeInForce.IOC:
        return f"{instrument.name} takes orders that end at once; what rests in options are quotes"
    if intent.side not in (1, -1):
        return f"side {intent.side} is neither +1 nor -1"
    if intent.size_lots <= 0:
        return f"size of {intent.size_lots} lots is not positive"
    if intent.limit_ticks <= 0 or not is_on_grid(instrument.spec.ticks, intent.limit_ticks):
        return f"limit of {intent.limit_ticks} ticks is not a price of {instrument.name}"
    return ""


def _resting(order: Order, instrument: Instrument, left_lots: int) -> _Resting:
    return _Resting(order.order_id, instrument, order.intent.side, order.intent.limit_ticks, left_lots)


def _rejected(order_id: str, reason: str, clocks: Clocks) -> OrderRejected:
    return OrderRejected(exch_ts_ns=clocks.exch_ns, local_ts_ns=clocks.local_ns, order_id=order_id, reason=reason)
