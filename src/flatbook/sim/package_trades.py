"""A package that trades with us, written down: a price for each leg, and the venue's fees for combos."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill, PackageFill, RequestForQuote
from flatbook.domain.reference import Instrument
from flatbook.sim.clocks import Clocks
from flatbook.sim.orders import Cashier


class PackageDeal(NamedTuple):
    """What trades: our side of a request (+1 buys), the package's price in ticks of its legs, the index, and when."""

    asked: RequestForQuote
    ours: int
    price_ticks: int
    index_usd: float
    clocks: Clocks


class PackageClerk:
    """Writes packages' fills; the venue is named on them."""

    def __init__(self, venue: str, cheaper_side_discount: float) -> None:
        self._venue, self._discount = venue, cheaper_side_discount
        self._cashier = Cashier(venue)

    def fill(
        self, deal: PackageDeal, options: Sequence[Instrument], worth_coin: Sequence[float], perpetual: Instrument
    ) -> PackageFill:
        """Every leg at once: options at prices that come to the package's, the delta leg at the request's."""
        asked, clocks, tick = deal.asked, deal.clocks, options[0].tick_size
        prices = leg_ticks([leg.ratio for leg in asked.legs], [worth / tick for worth in worth_coin], deal.price_ticks)
        fills = [
            self._leg(deal, option, deal.ours * option.size_lots(leg.ratio * asked.size), ticks)
            for option, leg, ticks in zip(options, asked.legs, prices, strict=True)
        ]
        fills = discounted(fills, self._discount)
        if (beside := asked.delta_leg) is not None:
            lots = deal.ours * perpetual.size_lots(beside.size)
            fills.append(self._leg(deal, perpetual, lots, perpetual.price_ticks(beside.price)))
        trade_id = f"rfq-{asked.rfq_id}"
        return PackageFill(
            exch_ts_ns=clocks.exch_ns,
            local_ts_ns=clocks.local_ns,
            rfq_id=asked.rfq_id,
            venue=self._venue,
            trade_id=trade_id,
            side=deal.ours,
            price=round(deal.price_ticks * tick, 10),
            fills=tuple(
                msgspec.structs.replace(fill, trade_id=f"{trade_id}-{number}")
                for number, fill in enumerate(fills, start=1)
            ),
        )

    def _leg(self, deal: PackageDeal, instrument: Instrument, lots: int, price_ticks: int) -> Fill:
        side = 1 if lots > 0 else -1
        order_id = f"rfq:{deal.asked.rfq_id}"
        return self._cashier.fill(
            order_id, instrument, side, price_ticks, abs(lots), deal.index_usd, is_maker=True, clocks=deal.clocks
        )


def leg_ticks(ratios: Sequence[int], worth_ticks: Sequence[float], package_ticks: int) -> list[int]:
    """Prices of the legs in ticks, near what they are worth and never below 0, that come to the package's exactly.

    What rounding leaves goes to single legs, the dearest first, as far as its price allows.

    Errors      BadInputError where no prices do: a package that costs less than nothing and is only bought
    """
    ticks = [max(round(worth), 0) for worth in worth_ticks]
    left = package_ticks - sum(ratio * at for ratio, at in zip(ratios, ticks, strict=True))
    for leg in sorted(range(len(ticks)), key=lambda leg: -worth_ticks[leg]):
        if abs(ratios[leg]) == 1:
            moved = max(ticks[leg] + ratios[leg] * left, 0) - ticks[leg]
            ticks[leg] += moved
            left -= ratios[leg] * moved
    if left:
        raise BadInputError(f"legs {list(ratios)} of worth {list(worth_ticks)} ticks cannot come to {package_ticks}")
    return ticks


def discounted(fills: Sequence[Fill], share: float) -> list[Fill]:
    """The legs' fees by the venue's rule for combos: the cheaper of what is bought and what is sold is reduced."""
    paid = {side: sum(fill.fee_units for fill in fills if fill.side == side) for side in (1, -1)}
    cheaper = 1 if paid[1] < paid[-1] else -1
    return [
        msgspec.structs.replace(fill, fee_units=math.ceil((1.0 - share) * fill.fee_units))
        if fill.side == cheaper
        else fill
        for fill in fills
    ]
