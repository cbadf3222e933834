"""Whether a taker's print would have filled our quote: three named models, evaluated side by side.

A print says that a taker of that side was ready to trade at its price. `through` is by how many ticks that price lies
beyond our quote, seen from the taker: 0 is at our price, negative did not reach us.

    model         below 0    at 0                       1 or more
    optimistic    nothing    all, up to our size        all, up to our size
    queue         nothing    our share of the print     all, up to our size
    pessimistic   nothing    nothing                    our share of the print

All fill at our price, never above our size or the print's. On every print pessimistic <= queue <= optimistic.

Source      the queue-position models usual in back-tests, reduced to one share: a tape has no book to stand in
"""

from dataclasses import dataclass
from enum import StrEnum

from flatbook.domain.errors import ConfigurationError

SHARE_SCALE = 1_000_000
"""Shares and entitlements are counted in millionths, so that they add up exactly."""


class FillModel(StrEnum):
    """Which model's fills are fed back to the engine."""

    OPTIMISTIC = "optimistic"
    QUEUE = "queue"
    PESSIMISTIC = "pessimistic"


@dataclass(frozen=True, slots=True)
class FillRules:
    """The chosen model, and our share of what trades at one price (0 to 1, to a millionth).

    The default share of one half says that one other maker of our size stands at the same price.
    """

    model: FillModel = FillModel.QUEUE
    queue_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.queue_share <= 1:
            raise ConfigurationError(f"queue_share is {self.queue_share}; use a share from 0 to 1")

    @property
    def share_ppm(self) -> int:
        """The share in millionths."""
        return round(self.queue_share * SHARE_SCALE)


def through_ticks(taker_side: int, print_ticks: int, quote_ticks: int) -> int:
    """How far a taker's print lies beyond our quote on the other side; negative where it did not reach it."""
    return taker_side * (print_ticks - quote_ticks)


def entitlement(share_ppm: int, carried_ppm: int, print_lots: int) -> tuple[int, int]:
    """Whole lots that our share of a print comes to, and the fraction of a lot (millionths) carried to the next."""
    return divmod(share_ppm * print_lots + carried_ppm, SHARE_SCALE)


def optimistic_lots(through: int, print_lots: int, quote_lots: int) -> int:
    """Lots filled where we stand first in every queue."""
    return min(print_lots, quote_lots) if through >= 0 else 0


def queue_lots(through: int, print_lots: int, quote_lots: int, entitled_lots: int) -> int:
    """Lots filled where others share our price but nobody stands between it and a worse one."""
    if through > 0:
        return min(print_lots, quote_lots)
    return min(entitled_lots, print_lots, quote_lots) if through == 0 else 0


def pessimistic_lots(through: int, print_lots: int, quote_lots: int, entitled_lots: int) -> int:
    """Lots filled where we stand last at our price and share even what trades beyond it."""
    return min(entitled_lots, print_lots, quote_lots) if through >= 1 else 0


@dataclass(frozen=True, slots=True)
class FillTally:
    """What one model would have filled.

    `amount` is in contracts (coins for options), `edge_usd` what the fills were worth against the tape's mark when they
    happened, before fees, over the `marked_fills` that had one; so `edge_usd` per marked fill is a model's mean edge.
    """

    fills: int = 0
    lots: int = 0
    amount: float = 0.0
    edge_usd: float = 0.0
    marked_fills: int = 0

    def plus(self, lots: int, amount: float, edge_usd: float | None) -> "FillTally":
        """The tally with one more fill; `edge_usd` None where the print had no mark."""
        return FillTally(
            self.fills + 1,
            self.lots + lots,
            self.amount + amount,
            self.edge_usd + (edge_usd or 0.0),
            self.marked_fills + (edge_usd is not None),
        )


class FillModels:
    """The three models with what each carries over: fractions of lots by instrument row, taker side and model."""

    def __init__(self, rules: FillRules) -> None:
        self._share_ppm = rules.share_ppm
        self._carried_ppm: dict[tuple[int, int, FillModel], int] = {}

    def lots(self, row: int, taker_side: int, through: int, print_lots: int, quote_lots: int) -> dict[FillModel, int]:
        """Lots each model fills of our quote at `row`, for a print `through` ticks beyond it."""
        at_price = through == 0
        queue = self._entitled(row, taker_side, FillModel.QUEUE, print_lots) if at_price else 0
        beyond = self._entitled(row, taker_side, FillModel.PESSIMISTIC, print_lots) if through >= 1 else 0
        return {
            FillModel.OPTIMISTIC: optimistic_lots(through, print_lots, quote_lots),
            FillModel.QUEUE: queue_lots(through, print_lots, quote_lots, queue),
            FillModel.PESSIMISTIC: pessimistic_lots(through, print_lots, quote_lots, beyond),
        }

    def _entitled(self, row: int, taker_side: int, model: FillModel, print_lots: int) -> int:
        key = (row, taker_side, model)
        whole, self._carried_ppm[key] = entitlement(self._share_ppm, self._carried_ppm.get(key, 0), print_lots)
        return whole
