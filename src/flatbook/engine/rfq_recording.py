"""Requests as the run's series has them: a row each at its end, and what packages that traded were worth later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flatbook.domain.events import RequestForQuote, RfqClosed
from flatbook.domain.units import NS_PER_SECOND
from flatbook.engine.rfq_desk import Request, RfqDesk, Told, Traded
from flatbook.report.rfq_row import RfqRow
from flatbook.report.tables import MARKOUT_HORIZONS_NS

if TYPE_CHECKING:
    from flatbook.engine.state import State


def package_name(asked: RequestForQuote) -> str:
    """Its legs as text, the delta leg last."""
    words = [f"{leg.ratio:+d} {leg.instrument}" for leg in asked.legs]
    if asked.delta_leg is not None:
        words.append(f"with {asked.delta_leg.size:+.10g} {asked.delta_leg.instrument}")
    return " ".join(words)


def record(state: State, request: Request, closed: RfqClosed | None) -> None:
    """The request's row; `closed` None where the run ended first."""
    asked, traded = request.asked, request.traded
    row = RfqRow(
        ts_ns=request.received_ns,
        rfq_id=asked.rfq_id,
        counterparty=asked.counterparty,
        package=package_name(asked),
        legs=len(asked.legs),
        size=asked.size,
        taker_side=asked.side,
        competitors=asked.competitors,
        state=str(request.state),
        ended_ns=state.now_ns,
        versions=len(request.told),
        reason="; ".join(request.why_not),
    )
    if closed is not None and closed.price is not None:
        row = row._replace(traded_price=closed.price, traded_side=closed.taker_side)
    told = request.told[-1] if request.told else None
    if traded is not None:
        told = request.version_at(traded.fill.side, traded.fill.price) or told
    if told is not None:
        row = _with_answer(row, told)
        if traded is not None:
            row = _with_trade(row, traded, told)
    request.row = state.recorder.tables.rfqs.append(row)


def _with_answer(row: RfqRow, told: Told) -> RfqRow:
    bid, ask = told.side(1), told.side(-1)
    return row._replace(
        bid=np.nan if told.quote.bid is None else told.quote.bid,
        ask=np.nan if told.quote.ask is None else told.quote.ask,
        fair=told.priced.value.fair,
        typical=told.priced.typical,
        bid_probability=np.nan if bid is None else bid.probability,
        ask_probability=np.nan if ask is None else ask.probability,
    )


def _with_trade(row: RfqRow, traded: Traded, told: Told) -> RfqRow:
    side, price = traded.fill.side, traded.fill.price
    made = told.side(side)
    inventory = np.nan if made is None else -side * made.inventory
    return row._replace(
        side=side,
        price=price,
        spread_part=price - told.priced.value.fair - inventory,
        inventory_part=inventory,
        index_usd=traded.index_usd,
        edge_usd=traded.edge_usd,
        fee_usd=traded.fee_usd,
        volume_usd=float(np.abs(told.risk.size_coin).sum()) * traded.index_usd,
        vega_usd=side * told.priced.size * told.priced.value.vega_usd,
    )


def expect_markouts(state: State, desk: RfqDesk, request: Request) -> None:
    """A package of ours traded now."""
    for column, horizon_ns in MARKOUT_HORIZONS_NS.items():
        desk.markouts[column].append((state.now_ns + horizon_ns, request))


def mark_out(state: State, desk: RfqDesk) -> None:
    """Packages whose horizon has passed: what they gained us goes into the series, what they gained him is learnt."""
    for column, waiting in desk.markouts.items():
        while waiting and waiting[0][0] <= state.now_ns:
            _, request = waiting.popleft()
            traded, legs = request.traded, request.legs
            assert traded is not None
            assert legs is not None
            size, fill = request.asked.size, traded.fill
            gained_coin = fill.side * (legs.fair_coin(state) - fill.price)
            if request.row >= 0:
                gained_usd = gained_coin * size * state.values.index_usd
                state.recorder.tables.rfqs.amend(request.row, column, gained_usd)
            told = request.version_at(fill.side, fill.price)
            if told is not None and np.isfinite(gained_coin):
                desk.learn_markout(
                    request, MARKOUT_HORIZONS_NS[column] / NS_PER_SECOND, -gained_coin / told.priced.typical
                )
