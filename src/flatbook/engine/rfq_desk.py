"""What the engine remembers of requests for quotes: those open, what each was told, what was learnt of whom."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.rfq.counterparties import Answer, Counterparties
from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.decide.rfq.pricing import PackageQuote, SideQuote
from flatbook.decide.rfq.winning import LEAST_OTHERS, TakerView
from flatbook.domain.events import PackageFill, RequestForQuote
from flatbook.engine.effects import RfqQuote
from flatbook.engine.packages import Legs, Surroundings
from flatbook.execution.rfq_lifecycle import STANDING, RfqSignal, RfqState, step_rfq
from flatbook.report.tables import MARKOUT_HORIZONS_NS
from flatbook.risk.package_gate import PackageRisk

Floats = NDArray[np.float64]

NEVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One version of an answer: what went out, how it was priced, what its fill would add to the book."""

    ts_ns: int
    quote: RfqQuote
    priced: PackageQuote
    risk: PackageRisk

    def side(self, ours: int) -> SideQuote | None:
        """How our bid (+1) or ask (-1) was made; None where it did not go out."""
        if self.quote.price(ours) is None:
            return None
        return self.priced.bid if ours > 0 else self.priced.ask


@dataclass(frozen=True, slots=True, eq=False)
class Traded:
    """A package of ours that traded: the fill, its edge over the fair value of the moment, its fees."""

    fill: PackageFill
    edge_usd: float
    fee_usd: float
    index_usd: float


@dataclass(slots=True, eq=False)
class Request:
    """One request through its life.

    told        every version of the answer, the last to stand
    why_not     why there is none, or none any more
    row         of the series, once it is there
    """

    asked: RequestForQuote
    received_ns: int
    legs: Legs | None
    state: RfqState = RfqState.RECEIVED
    told: list[Told] = field(default_factory=list)
    why_not: tuple[str, ...] = ()
    traded: Traded | None = None
    row: int = -1

    @property
    def stands(self) -> bool:
        """Whether an answer of ours can be traded."""
        return self.state in STANDING

    def step(self, signal: RfqSignal) -> None:
        """Takes a signal, by the table."""
        self.state = step_rfq(self.state, signal, self.asked.rfq_id)

    def version_at(self, ours: int, price: float) -> Told | None:
        """The newest version whose bid (+1) or ask (-1) had that price: what a fill was made at."""
        for told in reversed(self.told):
            at = told.quote.price(ours)
            if at is not None and math.isclose(at, price, abs_tol=1e-12):
                return told
        return None


class RfqDesk:
    """Requests by id, and what became of them.

    open            those that may still be answered or traded
    ended           the others, by id, in the order of their end
    reviewed_ns     of the valuation that open answers were last held against, and that `around` is of
    reserved        (2, axes) what was kept for answers of the bounds when quotes were last fitted into the rest
    markouts        packages of ours to be marked out, by column of the series: when, and which
    """

    def __init__(self, policy: RfqPolicy) -> None:
        self.policy = policy
        self.counterparties = Counterparties(policy)
        self.open: dict[str, Request] = {}
        self.ended: dict[str, Request] = {}
        self.reviewed_ns = 0
        self.reserved: Floats = np.zeros((2, 0))
        self.markouts: dict[str, deque[tuple[int, Request]]] = {column: deque() for column in MARKOUT_HORIZONS_NS}
        self.around: Surroundings | None = None
        self._views: dict[str, TakerView] = {}

    @classmethod
    def of(cls, policy: RfqPolicy) -> RfqDesk | None:
        """None where the policy answers no requests: then nothing is spent on them."""
        return cls(policy) if policy.answers else None

    @property
    def wakes_ns(self) -> int:
        """When the first standing price has lived its life."""
        return min((one.told[-1].quote.expires_ns for one in self.open.values() if one.stands), default=NEVER_NS)

    def request(self, rfq_id: str) -> Request | None:
        """Open or ended; None where nobody asked so."""
        return self.open.get(rfq_id) or self.ended.get(rfq_id)

    def view(self, counterparty: str) -> TakerView:
        """What is believed of him now; kept until something is learnt, for it takes longer than pricing does."""
        known = self._views.get(counterparty)
        if known is None:
            known = self._views[counterparty] = self.counterparties.view(counterparty)
        return known

    def learn_answer(self, request: Request, taker_side: int, won: bool) -> None:
        """What became of the last answer teaches how far he goes for a price."""
        told = request.told[-1]
        # Who traded with nobody may have wanted either side that he asked for: the middle of our two prices.
        wanted = taker_side or request.asked.side
        ours = (-wanted,) if wanted else (1, -1)
        fair = told.priced.value.fair
        distances = [side * (fair - price) for side in ours if (price := told.quote.price(side)) is not None]
        if not distances:
            return
        distance = sum(distances) / len(distances) / told.priced.typical
        others = max(request.asked.competitors + self.policy.walk_away_odds, LEAST_OTHERS)
        self.counterparties.answered(request.asked.counterparty, Answer(distance, math.log(others), won))
        self._views.clear()

    def learn_markout(self, request: Request, horizon_s: float, gained: float) -> None:
        """What a trade gained him, typical half-spreads."""
        self.counterparties.marked_out(request.asked.counterparty, horizon_s, gained)
        self._views.clear()

    def end(self, request: Request) -> None:
        """It is open no more."""
        self.open.pop(request.asked.rfq_id, None)
        self.ended[request.asked.rfq_id] = request
