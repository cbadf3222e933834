"""Where requests for quotes are asked, answered and awarded: the best price wins, ours or another dealer's.

A request reaches us when the feed brings it. What we answer stands from a quote's latency after we sent it until it is
replaced, taken back, or its time is over. When the requester decides he takes the best price he sees, if it is good
enough for him; all legs then trade at once.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.combos import Leg
from flatbook.domain.events import DeltaLeg, RequestForQuote, RfqClosed, RfqOutcome
from flatbook.domain.reference import Instrument
from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND
from flatbook.engine.effects import RfqQuote
from flatbook.sim.dealers import DealerParameters, best_ticks, draw_dealers, usual_half_spread
from flatbook.sim.flow import Stage, moment
from flatbook.sim.gateway import Gateway, VenueTerms
from flatbook.sim.latency import DelayStream
from flatbook.sim.mailbox import NEVER_NS
from flatbook.sim.makers import show
from flatbook.sim.options import Moment, value
from flatbook.sim.package_trades import PackageClerk, PackageDeal
from flatbook.sim.requesters import Ladder, RequesterParameters, Wanted, draw_requests, package_rows
from flatbook.sim.streams import stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BUMP = 1e-3


class PackageWorth(NamedTuple):
    """A package at a moment, coin each: by the true surface, as dealers believe, what they usually ask beside."""

    fair: float
    believed: float
    usual: float
    fees: float


@dataclass(slots=True, eq=False)
class _Asked:
    """A request under way: what was drawn, what was sent, and what we have answered, each from when on."""

    wanted: Wanted
    event: RequestForQuote
    rows: Ints
    ratios: Floats
    dealers: Floats
    taker_side: int
    known_coin: float
    answers: deque[tuple[int, RfqQuote]] = field(default_factory=deque)


class RequestFloor:
    """Requests of one seed, in order.

    Invariant   `next_ns` is when the next thing happens here: a request comes, or somebody decides
    """

    def __init__(
        self,
        gateway: Gateway,
        stage: Stage,
        perpetual: Instrument,
        terms: VenueTerms,
        parameters: tuple[RequesterParameters, DealerParameters],
        *,
        seed: int,
        start_ns: int,
        span_ns: int,
    ) -> None:
        self._gateway, self._stage, self._perpetual, self._terms = gateway, stage, perpetual, terms
        self._requesters, self._dealers = parameters
        self._clerk = PackageClerk(terms.name, terms.cheaper_side_discount)
        self._coming = deque(draw_requests(self._requesters, seed, start_ns, span_ns))
        self._random = stream(seed, "dealers")
        self._delays = DelayStream(terms.latency.quote, stream(seed, "answers to requests"))
        self._open: dict[str, _Asked] = {}
        self._last_arrival_ns = 0
        self.informed: set[str] = set()

    @property
    def next_ns(self) -> int:
        """Never, once nothing is left."""
        comes_ns = self._coming[0].exch_ns if self._coming else NEVER_NS
        return min([comes_ns, *(asked.wanted.decides_ns for asked in self._open.values())])

    def take(self, sent_ns: int, quotes: Iterable[RfqQuote]) -> None:
        """What we answer, under way to the venue; each message after those before it."""
        for quote in quotes:
            self._last_arrival_ns = max(self._last_arrival_ns, sent_ns + self._delays.next_ns())
            if (asked := self._open.get(quote.rfq_id)) is not None:
                asked.answers.append((self._last_arrival_ns, quote))

    def act(self) -> None:
        """Whatever is next: a decision, or a request."""
        now_ns = self.next_ns
        deciding = [asked for asked in self._open.values() if asked.wanted.decides_ns == now_ns]
        if deciding:
            self._decide(deciding[0])
        else:
            self._ask(self._coming.popleft())

    def worth(self, rows: Ints, ratios: Floats, now_ns: int) -> PackageWorth:
        """The options of a package at a moment."""
        stage, at = self._stage, np.asarray(now_ns)
        contracts, now = stage.chain.contracts(rows), moment(stage.world, at)
        true = value(stage.surface, stage.world, contracts, now)
        believed = value(stage.surface, stage.world, contracts, now._replace(factors=stage.beliefs.at(at)))
        usual = show(stage.makers, believed, contracts.sign, stage.steps).usual_coin
        fees = self._fees_coin(rows, ratios, believed.price_coin)
        return PackageWorth(
            float(ratios @ true.price_coin),
            float(ratios @ believed.price_coin),
            usual_half_spread(self._dealers, ratios, usual, fees),
            fees,
        )

    def _fees_coin(self, rows: Ints, ratios: Floats, price_coin: Floats) -> float:
        fees = self._stage.chain.instruments[int(rows[0])].spec.fees
        each = np.abs(ratios) * np.minimum(float(fees.maker), float(fees.cap_of_premium or 1) * price_coin)
        bought, sold = float(each[ratios > 0].sum()), float(each[ratios < 0].sum())
        return max(bought, sold) + (1.0 - self._terms.cheaper_side_discount) * min(bought, sold)

    def _ask(self, wanted: Wanted) -> None:
        pairs = self._package(wanted)
        if not pairs:
            return
        rows, ratios = np.array([row for row, _ in pairs]), np.array([float(ratio) for _, ratio in pairs])
        dealers = draw_dealers(self._dealers, self._random)
        side, known = self._knowledge(wanted, rows, ratios)
        rfq_id = f"R{wanted.number}"
        expires_ns = wanted.exch_ns + round(self._requesters.ttl_s * NS_PER_SECOND)
        delta_leg = self._delta_leg(wanted, rows, ratios) if wanted.is_hedged else None
        clocks = self._gateway.clocks(wanted.exch_ns)
        event = RequestForQuote(
            exch_ts_ns=clocks.exch_ns,
            local_ts_ns=clocks.local_ns,
            rfq_id=rfq_id,
            counterparty=f"counterparty {wanted.counterparty + 1}",
            legs=tuple(Leg(self._stage.chain.instruments[row].name, ratio) for row, ratio in pairs),
            size=float(wanted.size),
            side=0 if wanted.asks_both else side,
            expires_ns=expires_ns,
            competitors=len(dealers),
            delta_leg=delta_leg,
        )
        if wanted.horizon_ns:
            self.informed.add(rfq_id)
        self._open[rfq_id] = _Asked(wanted, event, rows, ratios, dealers, side, known)
        self._gateway.tell(event)

    def _package(self, wanted: Wanted) -> list[tuple[int, int]]:
        """Rows and ratios of what is listed; an expiry of a day or more, a calendar's far leg the next one after it."""
        expiries = [at for at in self._stage.chain.expiries_ns(wanted.exch_ns) if at - wanted.exch_ns > NS_PER_DAY]
        if not expiries:
            return []
        at = math.floor(wanted.chance[0] * len(expiries))
        near = self._ladder(expiries[at], wanted.exch_ns)
        far = self._ladder(expiries[at + 1], wanted.exch_ns) if at + 1 < len(expiries) else near
        return package_rows(wanted.kind, wanted.chance, near, far)

    def _ladder(self, expiry_ns: int, now_ns: int) -> Ladder:
        stage = self._stage
        rows = stage.chain.of_expiry[expiry_ns]
        puts, calls = rows[0::2], rows[1::2]
        contracts, now = stage.chain.contracts(calls), moment(stage.world, np.asarray(now_ns))
        seen = value(stage.surface, stage.world, contracts, now)
        deviations = seen.log_moneyness / (seen.atm_vol * np.sqrt(seen.years))
        return Ladder(contracts.strike_usd, calls.tolist(), puts.tolist(), deviations)

    def _knowledge(self, wanted: Wanted, rows: Ints, ratios: Floats) -> tuple[int, float]:
        """The side he takes, and what the informed know the package will be worth; NaN for the others."""
        if not wanted.horizon_ns:
            return wanted.taker_side, math.nan
        stage, contracts = self._stage, self._stage.chain.contracts(rows)
        now, then = (moment(stage.world, np.asarray(at)) for at in (wanted.exch_ns, wanted.exch_ns + wanted.horizon_ns))
        ahead = now._replace(factors=then.factors) if wanted.knows_vol else now._replace(index_usd=then.index_usd)
        gains = [value(stage.surface, stage.world, contracts, at).price_coin for at in (ahead, now)]
        known, fair = (float(ratios @ gained) for gained in gains)
        return (1 if known > fair else -1), known

    def _delta_leg(self, wanted: Wanted, rows: Ints, ratios: Floats) -> DeltaLeg | None:
        """The perpetual at its price of the moment, as much as leaves no delta in coin."""
        stage, contracts = self._stage, self._stage.chain.contracts(rows)
        now = moment(stage.world, np.asarray(wanted.exch_ns))

        def coin_at(at: Moment) -> float:
            return float(ratios @ value(stage.surface, stage.world, contracts, at).price_coin)

        up, down = (coin_at(now._replace(index_usd=now.index_usd * (1 + bump))) for bump in (_BUMP, -_BUMP))
        index_usd = float(now.index_usd)
        size_usd = -wanted.size * index_usd * (up - down) / (2 * _BUMP)
        lots = round(size_usd / self._perpetual.lot_size)
        ticks = round(self._gateway.perpetual.mid_usd(self._perpetual.name, index_usd) / self._perpetual.tick_size)
        if not lots:
            return None
        return DeltaLeg(self._perpetual.name, lots * self._perpetual.lot_size, ticks * self._perpetual.tick_size)

    def _decide(self, asked: _Asked) -> None:
        now_ns, rfq_id = asked.wanted.decides_ns, asked.event.rfq_id
        del self._open[rfq_id]
        worth = self.worth(asked.rows, asked.ratios, now_ns)
        beside = self._delta_leg_coin(asked, now_ns)
        tick, side = self._stage.chain.instruments[int(asked.rows[0])].tick_size, asked.taker_side
        theirs = best_ticks(asked.dealers, side, worth.believed + beside, worth.usual, tick)
        ours = _standing(asked, -side, now_ns)
        ours_ticks = None if ours is None else round(ours / tick)
        # At one price the dealers have it: they were there before.
        is_ours = ours_ticks is not None and (theirs is None or side * (theirs - ours_ticks) > 0)
        best = ours_ticks if is_ours else theirs
        if best is None or not self._accepts(asked, best * tick, worth, beside):
            self._close(asked, RfqOutcome.EXPIRED, 0, None, now_ns)
            return
        if is_ours:
            self._trade(asked, best, now_ns)
        outcome = RfqOutcome.WON if is_ours else RfqOutcome.LOST
        self._close(asked, outcome, side, round(best * tick, 10), now_ns)

    def _delta_leg_coin(self, asked: _Asked, now_ns: int) -> float:
        """What the delta leg's price is off the market's, per package."""
        leg = asked.event.delta_leg
        if leg is None:
            return 0.0
        index_usd = float(self._stage.world.index_at(np.asarray(now_ns)))
        mid_usd = self._gateway.perpetual.mid_usd(leg.instrument, index_usd)
        return leg.size * (1.0 / leg.price - 1.0 / mid_usd) / asked.event.size

    def _accepts(self, asked: _Asked, price: float, worth: PackageWorth, beside: float) -> bool:
        """Whether he trades at a price: the informed for an edge after fees, the others by how far they go."""
        if not math.isnan(asked.known_coin):
            return asked.taker_side * (asked.known_coin + beside - price) > worth.fees
        return asked.taker_side * (price - worth.fair - beside) < asked.wanted.reserve * worth.usual

    def _trade(self, asked: _Asked, price_ticks: int, now_ns: int) -> None:
        """Every leg trades with us at once."""
        stage, event = self._stage, asked.event
        now = moment(stage.world, np.asarray(now_ns))
        worth_coin = value(stage.surface, stage.world, stage.chain.contracts(asked.rows), now).price_coin
        instruments = [stage.chain.instruments[row] for row in asked.rows.tolist()]
        index_usd, clocks = self._gateway.index_usd[stage.chain.underlying], self._gateway.clocks(now_ns)
        deal = PackageDeal(event, -asked.taker_side, price_ticks, index_usd, clocks)
        self._gateway.tell(self._clerk.fill(deal, instruments, worth_coin.tolist(), self._perpetual))

    def _close(self, asked: _Asked, outcome: RfqOutcome, taker_side: int, price: float | None, now_ns: int) -> None:
        clocks = self._gateway.clocks(now_ns)
        self._gateway.tell(
            RfqClosed(
                exch_ts_ns=clocks.exch_ns,
                local_ts_ns=clocks.local_ns,
                rfq_id=asked.event.rfq_id,
                outcome=outcome,
                taker_side=taker_side,
                price=price,
            )
        )


def _standing(asked: _Asked, ours: int, now_ns: int) -> float | None:
    """Our bid (+1) or ask (-1) as it stands at a moment; None where there is none."""
    while len(asked.answers) > 1 and asked.answers[1][0] <= now_ns:
        asked.answers.popleft()
    if not asked.answers or asked.answers[0][0] > now_ns or asked.answers[0][1].expires_ns <= now_ns:
        return None
    return asked.answers[0][1].price(ours)
