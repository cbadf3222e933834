"""What a run knows about itself besides its series: the frozen values that `summarise` takes from the engine.

None says that a number does not apply; the report then shows null, never zero.
"""

import msgspec


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Which run this is: policy, seed and session decide it, `state_sha256` is what it came to. Times in ns UTC."""

    id: str
    version: str
    policy: str
    seed: int | None
    session: str | None
    underlying: str
    from_ns: int
    to_ns: int
    events: int
    trades_seen: int
    wall_s: float
    state_sha256: str | None


class VenueHoldings(msgspec.Struct, frozen=True, kw_only=True):
    """What lies at one venue: cash by currency, and by instrument what is held, in its own unit, signed."""

    venue: str
    balances: dict[str, float]
    positions: dict[str, float]


class LedgerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The books: `balances` in whole currency, `pnl_usd` the ledger's own total and `pnl_coin` the same by currency.

    venues          where all that lies
    worth_coin      the total as coin of the underlying, what is held in dollars at the last index
    """

    balanced: bool
    balances: dict[str, float]
    positions_open: int
    pnl_usd: float
    pnl_coin: dict[str, float]
    worth_coin: float
    venues: tuple[VenueHoldings, ...] = ()


class FillModel(msgspec.Struct, frozen=True, kw_only=True):
    """What one model of fills would have given us from the same quotes and tape."""

    name: str
    fills: int
    lots: int
    edge_usd: float


class FlowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Our share of the flow: option notional filled, and its share (0 to 1) of the tape's."""

    volume_usd: float
    fill_share: float | None
    fill_models: tuple[FillModel, ...] = ()


class QuoteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Our quoting: shares of time from 0 to 1, spread in vol points (0.01), `messages` sent in all."""

    uptime: float | None
    two_sided_share: float | None
    median_half_spread_vol_pt: float | None
    messages: int


class HedgingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the hedger knows of itself at the end.

    loop_gain_most      the loop gain farthest from 0 that hedging was decided at; `slowed_decisions` were, by it
    impact_y            what its orders have taught of the square-root law's constant
    flow_delta_usd, hedge_delta_usd     gross delta that fills of quotes brought, and that hedges traded
    """

    loop_gain_most: float
    slowed_decisions: int
    impact_y: float
    flow_delta_usd: float
    hedge_delta_usd: float


class MonitorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is watched, at one horizon; NaN where it is not known.

    of          what of a stretch counts: its most, its mean or its change
    value       what the last stretch that ended came to, or so far where that is an alarm; `age_s` since then
    usual       the median of its past, of a change its root mean square
    state       learning, quiet or alarm; `alarms` began so far
    """

    name: str
    group: str
    unit: str
    of: str
    horizon: str
    value: float
    age_s: float
    usual: float
    threshold: float
    state: str
    alarms: int


class LatencyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers took in a run whose market happened meanwhile; `samples` messages changed quotes.

    From the arrival of a message at the socket to the hand-over of its quotes to the venue, at worst: a message that
    came while the engine was busy counts from when the socket was seen empty last. Quantiles are at most 1 % too high.
    """

    feed_to_quote_p50_ms: float
    feed_to_quote_p99_ms: float
    feed_to_quote_max_ms: float
    samples: int


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth a line: a refused fit, a limit reached. Of stage changes, why: the equity series has when."""

    ts_ns: int
    kind: str
    text: str


class LimitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a bound did: `least_left` of it in its unit once all had filled that could, None where nothing is known.

    gave_way        quote sides that were lowered or dropped for what everything could fill at once
    refused_quotes, refused_orders      single sides, and orders, that broke it by themselves
    breaches        how often the book came to stand beyond it
    """

    name: str
    least_left: float | None
    gave_way: int
    refused_quotes: int
    refused_orders: int
    breaches: int = 0


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    run: Run
    ledger: LedgerFacts
    flow: FlowFacts
    quotes: QuoteFacts
    limit_breaches: int
    hedging: HedgingFacts | None = None
    latency: LatencyFacts | None = None
    limits: tuple[LimitFacts, ...] = ()
    log: tuple[LogEntry, ...] = ()
    monitors: tuple[MonitorFacts, ...] = ()
    false_alarms_per_week: float | None = None
