"""Requests, their ends and their fills, made by hand for an engine in a known world."""

from collections.abc import Sequence
from decimal import Decimal

from flatbook.domain.combos import Leg
from flatbook.domain.events import DeltaLeg, Fill, PackageFill, RequestForQuote, RfqClosed, RfqOutcome
from flatbook.domain.units import NS_PER_SECOND, exact_units
from flatbook.engine.loop import Engine
from flatbook.engine.packages import find_legs
from flatbook.engine.policy import Policy
from flatbook.engine.rfq_desk import Request
from flatbook.engine.setup import Setup
from flatbook.sim.package_trades import leg_ticks
from tests.engine.builders import policy
from tests.market.builders import REFERENCE, START_NS, World, at, chain, options

CONDOR = (
    ("BTC-25APR25-70000-P", 1),
    ("BTC-25APR25-75000-P", -1),
    ("BTC-25APR25-85000-C", -1),
    ("BTC-25APR25-90000-C", 1),
)
STRADDLE = (("BTC-25APR25-80000-C", 1), ("BTC-25APR25-80000-P", 1))


def dealer(**sections: dict[str, object]) -> Policy:
    """`advanced`, answering requests."""
    rfq = {"answers": True, **sections.pop("rfq", {})}
    return policy("advanced", rfq=rfq, **sections)


def desk(made: Policy | None = None) -> tuple[Engine, World]:
    """A dealer that has seen an index and two chains."""
    world = World()
    maker = Engine(
        Setup(
            underlying="BTC",
            venue="sim",
            reference=REFERENCE,
            policy=made or dealer(),
            trade_from_ns=START_NS,
            capital_units=100 * 10**8,
            cheaper_side_discount=1.0,
        )
    )
    maker.step(world.index(0))
    names = [name for date in ("4APR25", "25APR25") for name in options(date)]
    maker.step(chain(0.5, [world.quote(0.5, name) for name in names]))
    return maker, world


def asked(
    seconds: float, legs: Sequence[tuple[str, int]] = STRADDLE, *, rfq_id: str = "R1", size: float = 2.0, side: int = 0,
    ttl_s: float = 30.0, delta_leg: DeltaLeg | None = None, who: str = "A",
) -> RequestForQuote:  # fmt: skip
    return RequestForQuote(
        exch_ts_ns=at(seconds),
        local_ts_ns=at(seconds),
        rfq_id=rfq_id,
        counterparty=who,
        legs=tuple(Leg(name, ratio) for name, ratio in legs),
        size=size,
        side=side,
        expires_ns=at(seconds) + round(ttl_s * NS_PER_SECOND),
        competitors=4,
        delta_leg=delta_leg,
    )


def closed(seconds: float, outcome: RfqOutcome, *, rfq_id: str = "R1", taker_side: int = 0) -> RfqClosed:
    clocks = {"exch_ts_ns": at(seconds), "local_ts_ns": at(seconds)}
    return RfqClosed(
        **clocks, rfq_id=rfq_id, outcome=outcome, taker_side=taker_side, price=0.03 if taker_side else None
    )


def traded(maker: Engine, seconds: float, side: int, *, rfq_id: str = "R1", fee_coin: str = "0.0001") -> PackageFill:
    """Our last answer filled whole on our bid (+1) or ask (-1), legs near fair value."""
    request = request_of(maker, rfq_id)
    event, told, legs = request.asked, request.told[-1], find_legs(maker.state, request.asked)
    assert not isinstance(legs, str)
    price = told.quote.price(side)
    assert price is not None
    worth = [float(maker.state.values.fair_coin[row]) / 1e-4 for row in legs.rows]
    ticks = leg_ticks([leg.ratio for leg in event.legs], worth, round(price / 1e-4))
    lots = [round(leg.ratio * event.size / REFERENCE.instrument(leg.instrument).lot_size) * side for leg in event.legs]
    legs_traded = [(leg.instrument, lot, tick) for leg, lot, tick in zip(event.legs, lots, ticks, strict=True)]
    if event.delta_leg is not None:
        perpetual = REFERENCE.instrument(event.delta_leg.instrument)
        size_lots = side * perpetual.size_lots(event.delta_leg.size)
        legs_traded.append((perpetual.name, size_lots, perpetual.price_ticks(event.delta_leg.price)))
    clocks = {"exch_ts_ns": at(seconds), "local_ts_ns": at(seconds)}
    fills = tuple(
        Fill(
            **clocks,
            venue="sim",
            trade_id=f"P-{rfq_id}-{number}",
            order_id=f"rfq:{rfq_id}",
            instrument=name,
            side=1 if lot > 0 else -1,
            price_ticks=tick,
            size_lots=abs(lot),
            fee_units=exact_units(Decimal(fee_coin), "BTC"),
            is_maker=True,
        )
        for number, (name, lot, tick) in enumerate(legs_traded)
    )
    return PackageFill(
        **clocks, rfq_id=rfq_id, venue="sim", trade_id=f"P-{rfq_id}", side=side, price=price, fills=fills
    )


def request_of(maker: Engine, rfq_id: str = "R1") -> Request:
    assert maker.state.rfqs is not None
    request = maker.state.rfqs.request(rfq_id)
    assert request is not None
    return request
