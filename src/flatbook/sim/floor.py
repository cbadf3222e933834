"""Where takers meet the best of our quotes and the other makers', and what of it the tape shows."""

import math
from typing import NamedTuple

import numpy as np

from flatbook.domain.events import TradePrint
from flatbook.domain.reference import Instrument
from flatbook.sim.board import Shown
from flatbook.sim.chain import Chain
from flatbook.sim.clocks import Clocks
from flatbook.sim.flow import Wishes
from flatbook.sim.gateway import Gateway, Taker
from flatbook.sim.latency import FeedLine
from flatbook.sim.mailbox import NEVER_NS
from flatbook.sim.options import vol_of
from flatbook.sim.takers import TakerParameters, willingness


class Wish(NamedTuple):
    """One taker: a row of `Wishes`, with the other makers' price on its side in ticks, 0 where there is none."""

    number: int
    exch_ns: int
    row: int
    side: int
    size_lots: int
    willing: float
    index_usd: float
    fair_coin: float
    mark_coin: float
    known_coin: float
    delivery_usd: float
    others_ticks: int
    usual_coin: float

    @property
    def is_informed(self) -> bool:
        """Whether the taker knows something."""
        return not math.isnan(self.known_coin)

    @classmethod
    def rows(cls, wishes: Wishes) -> "list[Wish]":
        """The takers of a stretch, the last to come first."""
        others = np.where(wishes.side > 0, wishes.market.ask_ticks, wishes.market.bid_ticks)
        columns = (*wishes[:10], wishes.believed.delivery_usd, others, wishes.market.usual_coin)
        return list(map(cls, *(column.tolist() for column in columns)))[::-1]

    def accepts(self, parameters: TakerParameters, instrument: Instrument, price_ticks: int) -> bool:
        """Whether the taker trades at a price: the informed for an edge after fees, the others by their willingness."""
        tick = instrument.tick_size
        price_coin = price_ticks * tick
        if self.is_informed:
            fees = instrument.spec.fees
            fee_coin = float(fees.taker)
            if fees.cap_of_premium is not None:
                fee_coin = min(fee_coin, float(fees.cap_of_premium) * price_coin)
            return self.side * (self.known_coin - price_coin) > fee_coin
        distance = self.side * (price_coin - self.fair_coin) / self.usual_coin
        return self.willing < willingness(parameters, distance)


class _Deal(NamedTuple):
    """What the tape shows of a trade, apart from its price and size."""

    instrument: Instrument
    trade_id: str
    side: int
    mark_coin: float
    index_usd: float
    delivery_usd: float
    clocks: Clocks


class Floor:
    """Lets takers trade, one after the other, and publishes their prints.

    Invariant   takers trade in order of arrival; a print's id is its taker's number, the second part's with a plus sign
    """

    def __init__(self, gateway: Gateway, chain: Chain, line: FeedLine, parameters: TakerParameters) -> None:
        self.next_ns = NEVER_NS
        self.informed: set[str] = set()
        self._gateway = gateway
        self._chain = chain
        self._line = line
        self._parameters = parameters
        self._waiting: list[Wish] = []

    def expect(self, wishes: Wishes) -> None:
        """Takes the next stretch of takers; all before them have traded."""
        assert not self._waiting, "takers of the stretch before still wait"
        self._waiting = Wish.rows(wishes)
        self._wait()

    def trade_next(self) -> None:
        """The next taker trades what it will: with us where we are better, else or then with the others."""
        wish = self._waiting.pop()
        self._wait()
        instrument = self._chain.instruments[wish.row]
        deal = _Deal(
            instrument, f"{wish.number}", wish.side, wish.mark_coin, wish.index_usd, wish.delivery_usd,
            Clocks(wish.exch_ns, self._line.local_ns(wish.exch_ns)),
        )  # fmt: skip
        ours = self._gateway.standing(instrument.name, -wish.side, wish.exch_ns)
        left_lots = wish.size_lots
        if ours.size_lots and wish.accepts(self._parameters, instrument, ours.price_ticks):
            # Where nobody else shows a price the taker has nowhere to go but to us.
            through = wish.side * (wish.others_ticks - ours.price_ticks) if wish.others_ticks else 1
            taker = Taker(wish.side, left_lots, wish.mark_coin, wish.index_usd, wish.exch_ns)
            filled = self._gateway.meet(taker, ours, through)
            if filled:
                self._print(deal, ours.price_ticks, filled, wish.is_informed)
                left_lots -= filled
                deal = deal._replace(trade_id=f"{wish.number}+")
        if left_lots and wish.others_ticks and wish.accepts(self._parameters, instrument, wish.others_ticks):
            self._print(deal, wish.others_ticks, left_lots, wish.is_informed)

    def lift_crossed(self, shown: Shown, clocks: Clocks) -> None:
        """The other makers take every quote of ours that their own fresh prices meet or cross."""
        quotes = self._gateway.quotes
        self._gateway.refresh(clocks.exch_ns)
        ours = np.array([quotes.row_of.get(name, -1) for name in shown.names])
        known = np.flatnonzero(ours >= 0)
        if known.size == 0:
            return
        bid, bid_lots, ask, ask_lots = quotes.columns(ours[known], clocks.exch_ns)
        for side, ticks, lots, theirs in (
            (-1, bid, bid_lots, shown.market.ask_ticks[known]),
            (1, ask, ask_lots, shown.market.bid_ticks[known]),
        ):
            through = side * (theirs - ticks)
            crossed = np.flatnonzero((lots > 0) & (theirs > 0) & (through >= 0))
            for at in crossed.tolist():
                self._lift(shown, int(known[at]), side, int(through[at]), clocks)

    def _lift(self, shown: Shown, at: int, side: int, through: int, clocks: Clocks) -> None:
        ours = self._gateway.standing(shown.names[at], -side, clocks.exch_ns)
        instrument = self._gateway.quotes.instruments[ours.row]
        mark_coin, delivery_usd = float(shown.believed.price_coin[at]), float(shown.believed.delivery_usd[at])
        index_usd = self._gateway.index_usd[instrument.contract.base]
        filled = self._gateway.meet(Taker(side, ours.size_lots, mark_coin, index_usd, clocks.exch_ns), ours, through)
        if filled:
            trade_id = f"{clocks.exch_ns}:{instrument.name}"
            deal = _Deal(instrument, trade_id, side, mark_coin, index_usd, delivery_usd, clocks)
            self._print(deal, ours.price_ticks, filled, is_informed=False)

    def _print(self, deal: _Deal, price_ticks: int, size_lots: int, is_informed: bool) -> None:
        if is_informed:
            self.informed.add(deal.trade_id)
        instrument = deal.instrument
        price = round(price_ticks * instrument.tick_size, 8)
        self._gateway.publish(
            TradePrint(
                exch_ts_ns=deal.clocks.exch_ns,
                local_ts_ns=deal.clocks.local_ns,
                instrument=instrument.name,
                trade_id=deal.trade_id,
                taker_side=deal.side,
                price=price,
                size_lots=size_lots,
                mark_price=deal.mark_coin,
                iv=vol_of(price, deal.delivery_usd, instrument.contract, deal.clocks.exch_ns),
                index_usd=deal.index_usd,
                off_book=False,
            )
        )

    def _wait(self) -> None:
        self.next_ns = self._waiting[-1].exch_ns if self._waiting else NEVER_NS
