"""The gate: the only door to the market. What breaks a bound does not leave, and why is counted.

Quotes are checked side by side against price bands, sizes and the exposures that a fill would leave, the coin paid for
it included; a side that would end beyond a bound is dropped, unless it ends no farther than it began. While the stress
loss is beyond its bound, or the loss stop says so, only sides that reduce a position pass. Hedge orders are checked
against their own size and price bands, and must not leave the book's delta beyond its bound and farther than before.
What is not a number is within no bound.

So much for each side alone. Then `Reservation` holds what all of them could fill at once, with every quote that rests
or is on its way and every order at work, inside every bound.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import NS_PER_MINUTE
from flatbook.kernels.gate import REFUSALS, gate_quotes
from flatbook.market.universe import Universe
from flatbook.risk.limits import LimitPolicy
from flatbook.risk.loss_stop import Stage
from flatbook.risk.reservation import Reservation
from flatbook.valuation.chain import ChainValues

Floats = NDArray[np.float64]

_BAND_COIN = 0.001
"""Room of a price band where an option has no vega left, in coin."""


class Purse(NamedTuple):
    """Capital that something may use, and what of it is used."""

    name: str
    used_usd: float
    bound_usd: float

    @property
    def left_usd(self) -> float:
        """Below 0 where it is overdrawn."""
        return self.bound_usd - self.used_usd


@dataclass(frozen=True, slots=True)
class BookRisk:
    """The book's risk as the gate bounds it; `stage` is the loss stop's, `purses` are what capital bounds, `beyond` the
    bounds on what is held that the book stands beyond.

    others_usd          delta in each other coin that may hedge
    others_delta_coin   what of that moves with ours, and is part of `delta_coin`
    """

    delta_coin: float
    gamma_1pct_usd: float
    vega_usd: float
    stress_loss_usd: float
    stage: Stage
    index_age_s: float = 0.0
    vega_tenor_usd: tuple[float, ...] = (0.0, 0.0, 0.0)
    purses: tuple[Purse, ...] = ()
    beyond: tuple[str, ...] = ()
    others_usd: tuple[float, ...] = ()
    others_delta_coin: float = 0.0


@dataclass(frozen=True, slots=True)
class OrderRisk:
    """What an order is and what filling it would add, signed by its side.

    size, held              of an option in contracts of a coin, else in USD of notional; held before it
    off                     how far its limit lies from fair: of an option in coin, else a share of the mark
    vega_coin               of one contract, by which an option's price band is measured; None where it is no option
    delta_coin, gamma_1pct_usd, vega_usd        that it adds to the book's
    is_other                of another coin, whose delta is bounded by itself
    """

    size: float
    held: float
    off: float
    delta_coin: float
    gamma_1pct_usd: float = 0.0
    vega_usd: float = 0.0
    vega_coin: float | None = None
    is_other: bool = False


@dataclass(slots=True)
class Gate:
    """The gate and its record: how often it refused, and why."""

    limits: LimitPolicy
    refused: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(REFUSALS), np.int64))
    refused_orders: dict[str, int] = field(default_factory=dict)
    reservation: Reservation = field(init=False)
    _bounds: Floats = field(init=False, repr=False)
    _sent_ns: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.reservation = Reservation(self.limits)
        limits = self.limits
        self._bounds = np.array(
            [
                limits.price_band_vol,
                _BAND_COIN,
                limits.order_coin,
                limits.position_coin,
                limits.delta_coin,
                limits.gamma_1pct_usd,
                limits.vega_usd,
            ]
        )

    def breaches(self, risk: BookRisk) -> list[str]:
        """The bounds that the book stands beyond now."""
        limits = self.limits
        standing = (
            ("delta", abs(risk.delta_coin), limits.delta_coin),
            ("gamma", abs(risk.gamma_1pct_usd), limits.gamma_1pct_usd),
            ("vega", abs(risk.vega_usd), limits.vega_usd),
            ("vega_tenor", max(map(abs, risk.vega_tenor_usd)), limits.vega_tenor_usd),
            ("stress_loss", risk.stress_loss_usd, limits.stress_loss_usd),
            *[(purse.name, purse.used_usd, purse.bound_usd) for purse in risk.purses],
            *[("other_delta", abs(usd), limits.other_delta_usd) for usd in risk.others_usd],
        )
        return [*[name for name, value, bound in standing if not value <= bound], *risk.beyond]

    def pass_quotes(
        self, grid: NDArray[np.int64], universe: Universe, values: ChainValues, held: Floats, risk: BookRisk
    ) -> None:
        """Zeroes every side of `grid` (4, rows: bid ticks, bid lots, ask ticks, ask lots) that may not go out."""
        if risk.stage >= Stage.FLAT or not risk.index_age_s <= self.limits.max_index_age_s:
            grid[:] = 0
            return
        columns = universe.ladders().columns
        gate_quotes(
            values.index_usd,
            self._bounds,
            np.array([risk.delta_coin, risk.gamma_1pct_usd, risk.vega_usd]),
            self.only_reduces(risk),
            values.greeks,
            values.forward_usd,
            columns.tick,
            columns.lot_coin,
            held,
            grid,
            self.refused,
        )

    def only_reduces(self, risk: BookRisk) -> bool:
        """Whether nothing may go out that does not shrink a position."""
        if risk.purses and any(not purse.left_usd >= 0.0 for purse in risk.purses):
            return True
        return risk.stage >= Stage.REDUCE_ONLY or not risk.stress_loss_usd <= self.limits.stress_loss_usd

    def refusal(self, order: OrderRisk, risk: BookRisk) -> str | None:
        """Why a hedge order may not go out; None where it may."""
        reason = self._refusal(order, risk)
        if reason is not None:
            self.count_refusal(reason)
        return reason

    def count_refusal(self, reason: str) -> None:
        """An order was not sent."""
        self.refused_orders[reason] = self.refused_orders.get(reason, 0) + 1

    def may_send(self, now_ns: int) -> bool:
        """Whether another single order would stay within the rate; counts one that may."""
        while self._sent_ns and self._sent_ns[0] <= now_ns - NS_PER_MINUTE:
            self._sent_ns.popleft()
        if len(self._sent_ns) + 1 > self.limits.orders_per_minute:
            self.count_refusal("order_rate")
            return False
        self._sent_ns.append(now_ns)
        return True

    def _refusal(self, order: OrderRisk, risk: BookRisk) -> str | None:
        limits, is_option = self.limits, order.vega_coin is not None
        band = limits.price_band_rate
        if order.vega_coin is not None:
            band = limits.price_band_vol * order.vega_coin + _BAND_COIN
        if risk.stage is Stage.HALT:
            return "halted"
        if not risk.index_age_s <= limits.max_index_age_s:
            return "stale_index"
        if not abs(order.size) <= (limits.order_coin if is_option else limits.hedge_order_usd):
            return "order_size"
        if not order.off <= band:
            return "price_band"
        if is_option and not _within(order.held, order.size, limits.position_coin):
            return "position"
        if order.is_other and not _within(order.held, order.size, limits.other_delta_usd):
            return "other_delta"
        if not _within(risk.delta_coin, order.delta_coin, limits.delta_coin):
            return "delta"
        if not _within(risk.gamma_1pct_usd, order.gamma_1pct_usd, limits.gamma_1pct_usd):
            return "gamma"
        if not _within(risk.vega_usd, order.vega_usd, limits.vega_usd):
            return "vega"
        if self.only_reduces(risk) and not _reduces(order, risk):
            return "reduce_only"
        return None


def _reduces(order: OrderRisk, risk: BookRisk) -> bool:
    """Whether an order shrinks its position: of options and other coins its own, else delta, net or of our coin."""
    if order.vega_coin is not None or order.is_other:
        return abs(order.held + order.size) < abs(order.held)
    deltas = (risk.delta_coin, risk.delta_coin - risk.others_delta_coin)
    return any(abs(delta + order.delta_coin) < abs(delta) for delta in deltas)


def _within(now: float, adds: float, bound: float) -> bool:
    """Whether what is added ends within its bound, or no farther out than it began; nothing added breaks nothing."""
    after = abs(now + adds)
    return adds == 0.0 or after <= bound or after <= abs(now)
