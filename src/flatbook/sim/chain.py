"""Which options the simulated market lists: expiries by the calendar, strikes around the index, more as it moves."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.instruments import format_expiry
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.sim.calendar import ExpiryPlan
from flatbook.sim.options import Contracts

Ints = NDArray[np.int64]

_ROUND_STEPS_USD = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000)


@dataclass(frozen=True, slots=True)
class ListingRules:
    """Which strikes an expiry has, in standard deviations of its log price at listing.

    Inside `inner_deviations` either side of the index strikes are one step apart, the largest round step that gives at
    least `inner_strikes` of them; out to `outer_deviations` every second one is listed.
    """

    expiries: ExpiryPlan = field(default_factory=ExpiryPlan)
    inner_deviations: float = 1.5
    outer_deviations: float = 3.2
    inner_strikes: int = 14

    def step_usd(self, index_usd: float, deviation: float) -> int:
        """Distance between neighbouring strikes for an expiry whose log price has this standard deviation."""
        most = 2 * self.inner_deviations * deviation * index_usd / self.inner_strikes
        return max((step for step in _ROUND_STEPS_USD if step <= most), default=_ROUND_STEPS_USD[0])

    def strikes_usd(self, index_usd: float, deviation: float, step_usd: int) -> Iterator[int]:
        """Strikes an expiry should have at this index, rising."""
        low, high = (index_usd * math.exp(side * self.outer_deviations * deviation) for side in (-1, 1))
        for number in range(max(math.ceil(low / step_usd), 1), math.floor(high / step_usd) + 1):
            strike = number * step_usd
            is_inner = abs(math.log(strike / index_usd)) <= self.inner_deviations * deviation
            if is_inner or number % 2 == 0:
                yield strike


class Chain:
    """Everything listed so far, a row an option in the order of listing; rows never move.

    Invariant   `contracts()` and `instruments` have a row each; `of_expiry` holds every row once, by strike and right
    """

    def __init__(self, underlying: str, rules: ListingRules, reference: ReferenceData) -> None:
        self.underlying = underlying
        self.instruments: list[Instrument] = []
        self.row_of: dict[str, int] = {}
        self.of_expiry: dict[int, Ints] = {}
        self._rules = rules
        self._reference = reference
        self._steps_usd: dict[int, int] = {}
        self._columns: list[tuple[float, float, int]] = []
        self._contracts = Contracts(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))

    def contracts(self, rows: Ints) -> Contracts:
        """Columns of `rows`."""
        strike, sign, expiry = self._contracts
        return Contracts(strike[rows], sign[rows], expiry[rows])

    def expiries_ns(self, now_ns: int) -> list[int]:
        """Expiries after `now_ns` that have options, rising."""
        return sorted(expiry_ns for expiry_ns in self.of_expiry if expiry_ns > now_ns)

    def rows_alive(self, now_ns: int) -> Ints:
        """Rows of options that expire after `now_ns`, by expiry, strike and right."""
        alive = [self.of_expiry[expiry_ns] for expiry_ns in self.expiries_ns(now_ns)]
        return np.concatenate(alive) if alive else np.zeros(0, np.int64)

    def extend(self, now_ns: int, index_usd: float, deviation_of: Callable[[int], float]) -> bool:
        """Lists what the calendar and the index ask for now; `deviation_of` gives an expiry's log standard deviation.

        A step once chosen stays with its expiry, so that its strikes keep one grid. Says whether anything was added.
        """
        before = len(self.instruments)
        for expiry_ns in self._rules.expiries.expiries_ns(now_ns):
            deviation = deviation_of(expiry_ns)
            step = self._steps_usd.setdefault(expiry_ns, self._rules.step_usd(index_usd, deviation))
            for strike in self._rules.strikes_usd(index_usd, deviation, step):
                self._list(expiry_ns, strike)
        if len(self.instruments) == before:
            return False
        self._rebuild()
        return True

    def _list(self, expiry_ns: int, strike_usd: int) -> None:
        for right, sign in (("C", 1.0), ("P", -1.0)):
            name = f"{self.underlying}-{format_expiry(expiry_ns)}-{strike_usd}-{right}"
            if name not in self.row_of:
                self.row_of[name] = len(self.instruments)
                self.instruments.append(self._reference.instrument(name))
                self._columns.append((float(strike_usd), sign, expiry_ns))

    def _rebuild(self) -> None:
        strike, sign, expiry = (np.array(column) for column in zip(*self._columns, strict=True))
        self._contracts = Contracts(strike, sign, expiry.astype(np.int64))
        order = np.lexsort((sign, strike, expiry))
        self.of_expiry = {int(expiry_ns): order[expiry[order] == expiry_ns] for expiry_ns in np.unique(expiry)}
