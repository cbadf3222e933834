"""A maker's program and the exchange it trades on, both sans I/O, in one process and simulated time, from one seed."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from flatbook.domain.units import NS_PER_SECOND
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.auth import Auth, Client
from flatbook.sim.calendar import ExpiryPlan
from flatbook.sim.chain import ListingRules
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.venue.crowd import TAKERS, Crowd
from flatbook.sim.venue.cycle import Cycle
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.orders import Order, OrderKind, OrderRequest, RefusalError
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.client_actions import Action
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.credits import MATCHING
from tests.sim.venue.builders import STANDARD_MARGIN
from tests.simulation.faults import Fault, Kind
from tests.simulation.link import NEVER_NS, Broken, Link, Opened
from tests.simulation.program import CAPITAL_COIN, EXPIRY_NS, START_NS, Clocks, Program

TICK_NS = NS_PER_SECOND // 10
"""How often the venue tells what intervals gathered."""

_MARKET = MarketParameters(
    listing=ListingRules(ExpiryPlan(dailies=1, weeklies=1, months=0, quarters=0), 1.0, 1.5, inner_strikes=4)
)


class World:
    """Everybody, at the venue's time `now_ns`; our machine's clock is `skew_ns` ahead of it."""

    def __init__(self, seed: int, folder: Path, hours: int = 1) -> None:
        self.seed, self.now_ns, self.skew_ns = seed, START_NS, 0
        reference = load_reference()
        self.exchange = Exchange(reference, STANDARD_MARGIN, START_NS)
        cycle = Cycle(self.exchange)
        crowd = Crowd(self.exchange, cycle, reference, seed=seed, steps=hours * 3_600, market=_MARKET)
        self.account = self.exchange.open_account("alice", {"BTC": float(CAPITAL_COIN)})
        self.api = Api(self.exchange, cycle, crowd, Auth([Client("alice", "secret", "alice")], f"{seed}".encode()))
        self.api.advance(START_NS)
        self.link = Link(self.api, MATCHING.__contains__)
        self._folder = folder
        self._clocks = Clocks(lambda: self.now_ns + self.skew_ns, lambda: self.now_ns)
        self.program = Program(seed, self.link, list(self.exchange.listings), folder, self._clocks)
        self.program.start(self.now_ns)

    def run(self, seconds: float) -> None:
        """Lets time pass at both ends."""
        end_ns = self.now_ns + round(seconds * NS_PER_SECOND)
        while self.now_ns < end_ns:
            wake_ns = self.now_ns + self.program.waits_ns
            tick_ns = (self.now_ns // TICK_NS + 1) * TICK_NS
            self.now_ns = max(min(end_ns, wake_ns, tick_ns, self.link.next_ns()), self.now_ns)
            self.api.advance(self.now_ns)
            self.link.reach_venue(self.now_ns)
            self._hear()

    def _hear(self) -> None:
        program, protocol = self.program, self.program.protocol
        for arrived in self.link.reach_us(self.now_ns):
            match arrived:
                case Opened():
                    program.happen(protocol.opened, self.now_ns)
                case Broken():
                    program.happen(protocol.closed, self.now_ns)
                case bytes():
                    program.happen(partial(_received, protocol, arrived), self.now_ns)
        if program.waits_ns <= 0:
            program.happen(protocol.advance, self.now_ns)

    def befall(self, faults: list[Fault]) -> None:
        """Lets all of a burst's faults happen, and some time for those that wait for a frame."""
        passed_s = 0.0
        for fault in faults:
            self.run(fault.after_s - passed_s)
            passed_s = fault.after_s
            if self._befall(fault):
                self.link.done[fault.kind] += 1
        self.run(3.0)
        self.link.calm()

    def settle(self) -> None:
        """Lets some seconds pass, until there is a statement with nothing traded since, and nothing on the line."""
        traded = -1
        while traded < len(self.account.executions) or self.link.next_ns() < NEVER_NS:
            traded = len(self.account.executions)
            # Everybody speaks at the full second; between them it is quiet but for takers.
            self.run(1.4 - self.now_ns % NS_PER_SECOND / NS_PER_SECOND)
            self.program.happen(self.program.maker.look, self.now_ns)
            self.run(0.1)

    def resting(self) -> list[Order]:
        """Our program's open orders at the exchange, the earliest first."""
        return [order for order in self.account.orders.values() if order.request.label != "by hand"]

    def _befall(self, fault: Fault) -> bool:
        """Lets a fault happen; whether it has had an effect already."""
        match fault.kind:
            case Kind.CLOCK_FORWARD | Kind.CLOCK_BACK:
                step_ns = round((0.1 + 20 * fault.size) * NS_PER_SECOND)
                self.skew_ns += step_ns if fault.kind is Kind.CLOCK_FORWARD else -step_ns
            case Kind.TOKEN_EXPIRED:
                if self.link.session is None or self.link.session.account is None:
                    return False
                self.link.session.until_ns = self.now_ns
            case Kind.MANUAL_TRADE:
                return self._trade_by_hand(fault, self.program.names)
            case Kind.FILL_UNTOLD:
                self.link.befall(fault, self.now_ns)
                self._hit(1, 0.5, fault)
                return False
            case Kind.EXPIRY:
                return self._expire(fault)
            case Kind.MMP_FREEZE:
                self._hit(len(self.resting()), 1.0, fault)
                return any(group.is_frozen(self.now_ns) for group in self.account.mmp.values())
            case Kind.PART_FILL_UNHEARD:
                filled = self._hit(1, 0.5, fault)
                self.link.cut(self.now_ns)
                return filled
            case Kind.KILL:
                self._kill(fault)
            case _:
                return self.link.befall(fault, self.now_ns)
        return True

    def _kill(self, fault: Fault) -> None:
        """The process is gone with all it held; another begins from what it kept. What it had sent may still arrive,
        and an order of it trade before the venue notices."""
        if fault.size < 0.5:
            self.link.deliver(self.now_ns)
            self._hit(1, 0.5, fault)
        self.link.close(self.now_ns)
        self.program.spool.close()
        self.program = Program(self.seed, self.link, self.program.names, self._folder, self._clocks)
        self.program.start(self.now_ns)

    def _expire(self, fault: Fault) -> bool:
        """Comes to the expiry with something that expires; whether it was there to come to."""
        if self.now_ns >= EXPIRY_NS - NS_PER_SECOND:
            return False
        self.run((EXPIRY_NS - self.now_ns) / NS_PER_SECOND - 0.4)
        names = [
            each.name for each in self.exchange.listings.values() if each.instrument.contract.expiry_ns == EXPIRY_NS
        ]
        is_held = self._trade_by_hand(fault, names)
        self.run(0.38)
        self._hit(len(self.resting()), 0.3, fault)
        self.run(0.1)
        return is_held

    def _trade_by_hand(self, fault: Fault, names: list[str]) -> bool:
        """Somebody with another session trades on the account, in one of these; whether anybody traded with him."""
        for name in names[int(fault.size * len(names)) :]:
            listing = self.exchange.listings[name]
            for side in (1, -1) if listing.is_open and self.program.knows(name) else ():
                lots, traded = 1 if listing.is_option else 10, len(self.account.executions)
                request = OrderRequest(
                    instrument=name, side=side, size_lots=lots, kind=OrderKind.MARKET, label="by hand"
                )
                # What would meet our own quote, or nobody, is refused.
                with suppress(RefusalError):
                    self.exchange.place(self.account, request)
                if len(self.account.executions) > traded:
                    return True
        return False

    def _hit(self, orders: int, share: float, fault: Fault) -> bool:
        """Takers come for our orders; whether any traded."""
        resting = self.resting()
        traded = len(self.account.executions)
        first = int(fault.size * max(len(resting), 1))
        for order in [*resting[first:], *resting[:first]][:orders]:
            listing, side = self.exchange.listings[order.request.instrument], order.request.side
            # All that stands before ours goes first.
            levels = [lots for ticks, lots in listing.book.depth(side) if side * (ticks - order.price_ticks) >= 0]
            if order.left_lots:
                lots = max(sum(levels) - order.left_lots + round(order.left_lots * share), 1)
                self.exchange.house_order(TAKERS, listing.name, -side, order.price_ticks, lots, rests=False)
        return len(self.account.executions) > traded


def _received(protocol: Protocol, raw: bytes, now_ns: int) -> list[Action]:
    return protocol.received(now_ns, raw)
