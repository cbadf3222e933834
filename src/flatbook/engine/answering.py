"""The stage that answers requests for quotes: prices them, amends what has moved, withdraws what may stand no more.

A request is priced on the chain as it was last valued, which is never farther from now than resting quotes may be. With
each later valuation, and where a price has lived its life, every standing answer is priced anew: it is amended where a
price moved by more than the policy's cutoff, and withdrawn where it is refused. Our clock ends an answer with its
request; the venue's word on how that ended comes later.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flatbook.decide.rfq.pricing import Ask, PackageQuote, Refusal, SideQuote, quote_package
from flatbook.domain.events import AnyEvent, PackageFill, RequestForQuote, RfqClosed, RfqOutcome
from flatbook.domain.units import NS_PER_SECOND, risk_amount
from flatbook.engine import packages, rfq_recording, stressing, valuing
from flatbook.engine.booking import count_fill, sync
from flatbook.engine.effects import RfqQuote
from flatbook.engine.rfq_desk import Request, RfqDesk, Told, Traded
from flatbook.engine.setup import HEDGING, MAKING
from flatbook.execution.rfq_lifecycle import RfqSignal
from flatbook.report.facts import LogEntry
from flatbook.risk.package_gate import PackageRisk, package_refusal

if TYPE_CHECKING:
    from flatbook.engine.state import State

_ENDS = {RfqOutcome.LOST: RfqSignal.LOSE, RfqOutcome.EXPIRED: RfqSignal.EXPIRE}


def take_package(state: State, event: AnyEvent) -> bool:
    """Books a package of ours that traded, every leg at once, once; says whether the book changed."""
    if not isinstance(event, PackageFill):
        return False
    hedge = state.setup.hedge.name

    def strategy_of(instrument: str) -> str:
        return HEDGING if instrument == hedge else MAKING

    if state.ledger.book_package(event, strategy_of) is None:
        return False
    # The edge is against the mark of the moment, not of the last requote.
    valuing.mark(state)
    sync(state, *(fill.instrument for fill in event.fills))
    for fill in event.fills:
        row = state.market.universe.row_of.get(fill.instrument)
        if row is not None:
            size = fill.side * fill.size_lots * state.setup.reference.instrument(fill.instrument).lot_size
            state.inventory.add_fresh(row, size, state.now_ns + state.setup.markout_ns)
            count_fill(state, row, size)
    edge_usd = state.pnl.booked("spread", state.values, state.inventory, state.otc_usd)
    state.stress = stressing.NO_STRESS
    _note_fill(state, event, edge_usd)
    return True


def _note_fill(state: State, event: PackageFill, edge_usd: float) -> None:
    """The request is won, whatever our clock made of it meanwhile."""
    request = state.rfqs.request(event.rfq_id) if state.rfqs is not None else None
    if state.rfqs is None or request is None or not request.told:
        text = f"{event.rfq_id}: package {event.trade_id} traded that we did not quote; it is booked"
        state.recorder.log.append(LogEntry(ts_ns=state.now_ns, kind="rfq", text=text))
        return
    units, underlying = sum(fill.fee_units for fill in event.fills), state.setup.underlying
    fee_usd = risk_amount(units, underlying) * state.values.index_usd
    request.step(RfqSignal.WIN)
    request.traded = Traded(event, edge_usd, fee_usd, state.values.index_usd)
    state.rfqs.learn_answer(request, -event.side, won=True)
    rfq_recording.expect_markouts(state, state.rfqs, request)


def answers(state: State, event: AnyEvent) -> tuple[RfqQuote, ...]:
    """What requesters are told after an event."""
    desk = state.rfqs
    if desk is None:
        return ()
    told: list[RfqQuote] = []
    if isinstance(event, RequestForQuote):
        told += _receive(state, desk, event)
    elif isinstance(event, RfqClosed):
        _close(state, desk, event)
    if desk.open and (state.values.ts_ns != desk.reviewed_ns or state.now_ns >= desk.wakes_ns):
        told += _review(state, desk)
    rfq_recording.mark_out(state, desk)
    if told:
        state.recorder.messages += len(told)
        for quote in told:
            words = f"{quote.rfq_id}:{quote.bid!r}:{quote.ask!r}:{quote.size!r}:{quote.expires_ns}"
            state.outputs.update(words.encode())
    return tuple(told)


def _receive(state: State, desk: RfqDesk, asked: RequestForQuote) -> list[RfqQuote]:
    if desk.request(asked.rfq_id) is not None:
        return []
    legs = packages.find_legs(state, asked)
    known = None if isinstance(legs, str) else legs
    request = desk.open[asked.rfq_id] = Request(asked, state.now_ns, known)
    if isinstance(legs, str):
        return _decline(request, (legs,))
    _look_around(state, desk)
    made = _priced(state, desk, request)
    if isinstance(made, Refusal):
        return _decline(request, made.reasons)
    request.step(RfqSignal.QUOTE)
    request.told.append(made)
    return [made.quote]


def _decline(request: Request, reasons: tuple[str, ...]) -> list[RfqQuote]:
    request.step(RfqSignal.DECLINE)
    request.why_not = reasons
    return []


def _close(state: State, desk: RfqDesk, event: RfqClosed) -> None:
    request = desk.open.get(event.rfq_id)
    if request is None:
        return
    was_told = bool(request.told)
    if event.outcome is not RfqOutcome.WON:
        request.step(_ENDS[event.outcome])
        if was_told:
            desk.learn_answer(request, event.taker_side, won=False)
    desk.end(request)
    rfq_recording.record(state, request, event)


def _review(state: State, desk: RfqDesk) -> list[RfqQuote]:
    """Every standing answer held against the market as it is."""
    _look_around(state, desk)
    told = []
    for request in [one for one in desk.open.values() if one.stands]:
        if state.now_ns >= request.asked.expires_ns:
            request.step(RfqSignal.EXPIRE)
            continue
        made = _priced(state, desk, request)
        last = request.told[-1]
        if isinstance(made, Refusal):
            request.step(RfqSignal.CANCEL)
            request.why_not = made.reasons
            told.append(RfqQuote(request.asked.rfq_id, None, None, 0.0, state.now_ns))
        elif state.now_ns >= last.quote.expires_ns or _is_off(last, made, desk.policy.amend_share):
            request.step(RfqSignal.AMEND)
            request.told.append(made)
            told.append(made.quote)
    return told


def _look_around(state: State, desk: RfqDesk) -> None:
    if desk.around is None or state.values.ts_ns != desk.reviewed_ns:
        desk.around = packages.surroundings_of(state)
        desk.reviewed_ns = state.values.ts_ns


def _is_off(last: Told, made: Told, share: float) -> bool:
    """Whether a price is off by more than the cutoff, or a side has come or gone."""
    pairs = [(last.quote.price(side), made.quote.price(side)) for side in (1, -1)]
    if any((before is None) != (now is None) for before, now in pairs):
        return True
    cutoff = share * made.priced.typical
    return any(abs(now - before) > cutoff for before, now in pairs if before is not None and now is not None)


def _priced(state: State, desk: RfqDesk, request: Request) -> Told | Refusal:
    """Both sides that may go out, priced for the life of the price; or why neither may."""
    legs, asked, around = request.legs, request.asked, desk.around
    assert legs is not None
    assert around is not None
    if state.protection.is_pulled:
        return Refusal(("all quotes are pulled for now",))
    life_s = min((asked.expires_ns - state.now_ns) / NS_PER_SECOND, desk.policy.price_life_s)
    if life_s <= 0.0:
        return Refusal(("it came when its time was over",))
    market = packages.market_for(state, legs, around)
    view, beside = desk.view(asked.counterparty), packages.limit_charges_usd(state, legs)
    priced = quote_package(market, Ask(legs.package, asked.size, life_s, asked.competitors, view, beside))
    if isinstance(priced, Refusal):
        return priced
    risk = packages.package_risk(state, legs)
    sides, reasons = _through_the_gate(state, request, priced, risk)
    if sides[0] is None and sides[1] is None:
        return Refusal(tuple(dict.fromkeys(reasons)) or ("no side that he asked for has a price",))
    expires_ns = min(asked.expires_ns, state.now_ns + round(life_s * NS_PER_SECOND))
    bid, ask = sides
    return Told(state.now_ns, RfqQuote(asked.rfq_id, bid, ask, asked.size, expires_ns), priced, risk)


def _through_the_gate(
    state: State, request: Request, priced: PackageQuote, risk: PackageRisk
) -> tuple[list[float | None], list[str]]:
    """Prices of our bid and ask, None where nobody asked for that side or the gate keeps it back, and why it does."""
    left = packages.room_for(state, request)
    sides: list[float | None] = []
    reasons = []
    for ours, side in ((1, priced.bid), (-1, priced.ask)):
        price = None if side is None or request.asked.side == ours else _known(side)
        if price is not None:
            refusal = package_refusal(state.gate, risk.of_side(ours), state.risk, left)
            if refusal is not None:
                state.gate.count_refusal(f"package {refusal}")
                reasons.append(f"the gate: {refusal}")
                price = None
        sides.append(price)
    return sides, reasons


def _known(side: SideQuote) -> float | None:
    return round(side.price, 10) if math.isfinite(side.price) else None


def finish(state: State) -> None:
    """The run is over: what is still open goes into the series as it stands."""
    if state.rfqs is not None:
        for request in state.rfqs.open.values():
            rfq_recording.record(state, request, None)
