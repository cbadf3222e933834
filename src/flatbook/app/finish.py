"""From an engine at its end to the run's report: facts, series, tear sheet."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from flatbook.app.markets import OpenMarket
from flatbook.app.request import RunRequest
from flatbook.domain.instruments import DOLLAR, Kind
from flatbook.domain.units import risk_amount
from flatbook.engine import answering, monitoring, valuing
from flatbook.engine.attributing import pnl_rows
from flatbook.engine.loop import Engine
from flatbook.engine.state import State
from flatbook.kernels.gate import REFUSALS
from flatbook.report.facts import (
    FillModel,
    FlowFacts,
    HedgingFacts,
    LatencyFacts,
    LedgerFacts,
    LimitFacts,
    LogEntry,
    QuoteFacts,
    Run,
    RunFacts,
    VenueHoldings,
)
from flatbook.report.html import render
from flatbook.report.summary import Summary, summarise
from flatbook.store.run_directory import RunDirectory
from flatbook.store.series import write_series

LOG_LIMIT = 200


@dataclass(frozen=True)
class Finished:
    """A run's report as values; cut short where an interrupt came before the market's end."""

    summary: Summary
    frames: dict[str, pl.DataFrame]
    is_cut_short: bool = False


def finish(
    engine: Engine,
    request: RunRequest,
    market: OpenMarket,
    run_id: str,
    version: str,
    wall_s: float,
    latency: LatencyFacts | None = None,
) -> Finished:
    """Takes the last sample and sums the run up; `latency` is of a run whose market happened meanwhile."""
    state = engine.state
    state_sha256 = state.sha256()
    if state.values.ts_ns:
        if state.otc is not None:
            state.otc.refresh()
        valuing.mark(state)
        valuing.measure_risk(state)
        state.recorder.take_sample(state)
        answering.finish(state)
        for row in pnl_rows(state.pnl, state.market.universe):
            state.recorder.tables.pnl.append(row)
    facts = RunFacts(
        run=Run(
            id=run_id,
            version=version,
            policy=state.setup.policy.name,
            seed=request.seed,
            session=request.session,
            underlying=state.setup.underlying,
            from_ns=market.from_ns,
            to_ns=max(state.now_ns, market.from_ns),
            events=state.events,
            trades_seen=state.trades_seen,
            wall_s=wall_s,
            state_sha256=state_sha256,
        ),
        ledger=_ledger_facts(state),
        flow=_flow_facts(state, market),
        quotes=_quote_facts(state),
        hedging=_hedging_facts(state),
        latency=latency,
        limit_breaches=sum(state.recorder.breached.values()),
        monitors=monitoring.facts(state),
        false_alarms_per_week=state.setup.policy.monitors.false_alarms_per_week,
        limits=limit_facts(state),
        log=(*_session_log(market), *_shown_log(state.recorder.log), *_refusals(state)),
    )
    frames = state.recorder.tables.frames()
    return Finished(summarise(frames, facts), frames)


def write(finished: Finished, directory: RunDirectory) -> None:
    """Writes `report.json`, `report.html` and `series/`."""
    directory.write_report(finished.summary)
    write_series(directory.path, finished.frames)
    directory.write_page(render(finished.frames, finished.summary))


def _shown_log(log: list[LogEntry]) -> list[LogEntry]:
    """The last of it, and every change of the loss stop's stage."""
    return [*(entry for entry in log[:-LOG_LIMIT] if entry.kind == "loss_stop"), *log[-LOG_LIMIT:]]


def _session_log(market: OpenMarket) -> list[LogEntry]:
    """What of the market is assumed, and rows of the whole session that no event was made of."""
    set_aside = (f"set aside: {reason} ({count:,})" for reason, count in market.set_aside.items())
    return [LogEntry(ts_ns=market.from_ns, kind="session", text=text) for text in (*market.notes, *set_aside)]


def limit_facts(state: State) -> tuple[LimitFacts, ...]:
    """Every bound: what was left of it, what it kept back, and how often the book came to stand beyond it."""
    gate = state.gate
    left, gave_way = state.held.least_left | gate.reservation.least_left(), gate.reservation.dropped()
    breached = state.recorder.breached
    quotes = dict(zip(REFUSALS, gate.refused.tolist(), strict=True))
    names = dict.fromkeys((*gate.reservation.names, *REFUSALS, *left, *breached, *gate.refused_orders))
    return tuple(
        LimitFacts(
            name=name,
            least_left=left[name] if math.isfinite(left.get(name, math.inf)) else None,
            gave_way=gave_way.get(name, 0),
            refused_quotes=quotes.get(name, 0),
            refused_orders=gate.refused_orders.get(name, 0),
            breaches=breached.get(name, 0),
        )
        for name in names
    )


def _refusals(state: State) -> list[LogEntry]:
    """What the gate kept back and the market stage could not use: how often, and why."""
    quotes = dict(zip(REFUSALS, state.gate.refused.tolist(), strict=True))
    texts = [f"gate refused {count:,} quote sides: {reason}" for reason, count in quotes.items() if count]
    texts += [f"gate refused {count:,} hedges: {reason}" for reason, count in state.gate.refused_orders.items()]
    if state.market.set_aside:
        texts.append(f"market set aside {state.market.set_aside:,} prints or quotes that gave no vol")
    return [LogEntry(ts_ns=state.now_ns, kind="refused", text=text) for text in texts]


def _ledger_facts(state: State) -> LedgerFacts:
    """The ledger's own account of the run: exact coin carried, and every open lot at its last value."""
    ledger, setup, values = state.ledger, state.setup, state.values
    ledger.invariant()
    currency = setup.underlying
    coin, dollars = (risk_amount(ledger.carried_units(code), code) for code in (currency, DOLLAR))
    for name, lots in ledger.open_lots().items():
        contract = setup.reference.instrument(name).contract
        other = state.other_place(name)
        if other is not None:
            dollars += lots * setup.others[other].lot_size * float(values.others_usd[other])
        elif name == setup.hedge.name:
            coin -= lots * setup.hedge.lot_size / state.perp_price_usd
        elif setup.away is not None and name == setup.away.instrument.name:
            coin -= lots * setup.away.instrument.lot_size / values.away_usd
        elif name == setup.linear.name:
            dollars += lots * setup.linear.lot_size * values.linear_usd
        elif contract.kind is Kind.FUTURE:
            price_usd = float(values.delivery_usd[state.market.universe.slot_of[contract.expiry_ns or 0]])
            coin -= lots * setup.reference.instrument(name).lot_size / price_usd
        elif state.otc is not None and contract.kind is Kind.OTC:
            coin += lots * setup.reference.instrument(name).lot_size * state.otc.price_coin(name)
        else:
            row = state.market.universe.row_of[name]
            coin += lots * state.market.universe.lot_coin[row] * float(values.fair_coin[row])
    index = values.index_usd if values.ts_ns else 0.0
    return LedgerFacts(
        balanced=True,
        balances={code: risk_amount(units, code) for code, units in ledger.balances().items()},
        positions_open=len(ledger.open_lots()),
        pnl_usd=coin * index + dollars,
        venues=_by_venue(state),
        worth_coin=coin + (dollars / index if dollars else 0.0),
        pnl_coin={currency: coin} | ({DOLLAR: dollars} if DOLLAR in ledger.balances() else {}),
    )


def _by_venue(state: State) -> tuple[VenueHoldings, ...]:
    ledger, reference = state.ledger, state.setup.reference
    sizes: dict[str, dict[str, float]] = {venue: {} for venue in ledger.venues}
    for key, position in ledger.positions().items():
        if position.size_lots:
            held, lot_size = sizes[key.venue], reference.instrument(key.instrument).lot_size
            held[key.instrument] = held.get(key.instrument, 0.0) + position.size_lots * lot_size
    return tuple(
        VenueHoldings(
            venue=venue,
            balances={code: risk_amount(ledger.balance(venue, code), code) for code in sorted(ledger.balances())},
            positions=dict(sorted(held.items())),
        )
        for venue, held in sizes.items()
    )


def _flow_facts(state: State, market: OpenMarket) -> FlowFacts:
    recorder = state.recorder
    share = recorder.volume_usd / recorder.tape_usd if recorder.tape_usd > 0 else None
    models = tuple(
        FillModel(name=str(model), fills=tally.fills, lots=tally.lots, edge_usd=tally.edge_usd)
        for model, tally in market.venue.fill_tally().items()
    )
    return FlowFacts(volume_usd=recorder.volume_usd, fill_share=share, fill_models=models)


def _hedging_facts(state: State) -> HedgingFacts:
    desk = state.desk
    return HedgingFacts(
        loop_gain_most=desk.greatest_gain,
        slowed_decisions=desk.slowed,
        impact_y=desk.impact.y,
        flow_delta_usd=desk.flow_delta_usd,
        hedge_delta_usd=desk.hedge_delta_usd,
    )


def _quote_facts(state: State) -> QuoteFacts:
    recorder = state.recorder
    return QuoteFacts(
        uptime=recorder.quoting_samples / recorder.samples if recorder.samples else None,
        two_sided_share=float(np.mean(recorder.two_sided)) if recorder.two_sided else None,
        median_half_spread_vol_pt=float(np.median(recorder.half_spread_vol)) if recorder.half_spread_vol else None,
        messages=recorder.messages,
    )
