"""The coin's inverse perpetual at another venue than ours: its premium over our index, and what it costs to take."""

import math

from flatbook.domain.events import TopOfBook
from flatbook.domain.reference import Instrument
from flatbook.market.perpetual import Perpetual, PerpetualModel
from flatbook.market.touches import DollarTouch, half_spread


class AwayPerpetual:
    """One perpetual, under its own name; as a risk its premium counts as moving with that of ours."""

    def __init__(self, instrument: Instrument, model: PerpetualModel) -> None:
        self.instrument = instrument
        self.perpetual = Perpetual(model)
        self.touch = DollarTouch()

    def take_top(self, event: TopOfBook, over_index: float, error: float) -> None:
        """Its best prices, whose middle is `over_index` times the index with a relative standard error."""
        self.perpetual.see(math.log(over_index), error, event.local_ts_ns)
        self.touch = DollarTouch(half_spread(event), event.local_ts_ns)
