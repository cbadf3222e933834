"""When contracts expire and sessions end: 08:00 UTC, at the index's average over the half hour before.

Source      the venue's contract pages: dailies, Fridays, last Fridays of the month and of the quarter; delivery at the
            time-weighted average of the index from 07:30 to 08:00 UTC
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import DailySettlement, Delivery
from flatbook.domain.units import NS_PER_DAY, NS_PER_SECOND, format_utc
from flatbook.market.settling import WindowAverage, next_settlement_ns
from flatbook.sim.clocks import Clocks

_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class ExpiryPlan:
    """How many of each sort of expiry are listed at once; one that is of two sorts counts in both."""

    dailies: int = 3
    weeklies: int = 3
    months: int = 2
    quarters: int = 3

    def expiries_ns(self, now_ns: int) -> tuple[int, ...]:
        """Expiries listed just after `now_ns`, rising."""
        first_ns = next_settlement_ns(now_ns)
        days = [first_ns + day * NS_PER_DAY for day in range(self.dailies)]
        fridays = _fridays_ns(first_ns, 7 * max(self.weeklies, 5 * (self.months + 1), 14 * (self.quarters + 1)))
        lasts = [friday for friday in fridays if _month(friday) != _month(friday + 7 * NS_PER_DAY)]
        quarters = [last for last in lasts if _month(last) % 3 == 0]
        listed = [*days, *fridays[: self.weeklies], *lasts[: self.months], *quarters[: self.quarters]]
        return tuple(sorted(set(listed)))


def _fridays_ns(first_ns: int, days: int) -> list[int]:
    start = datetime.fromtimestamp(first_ns // NS_PER_SECOND, tz=UTC)
    start += timedelta(days=(_FRIDAY - start.weekday()) % 7)
    return [int((start + timedelta(days=day)).timestamp()) * NS_PER_SECOND for day in range(0, days, 7)]


def is_last_of_month(expiry_ns: int) -> bool:
    """Whether a Friday's expiry is its month's last: those have a dated future as well."""
    friday = datetime.fromtimestamp(expiry_ns // NS_PER_SECOND, tz=UTC).weekday() == _FRIDAY
    return friday and _month(expiry_ns) != _month(expiry_ns + 7 * NS_PER_DAY)


def _month(ts_ns: int) -> int:
    return datetime.fromtimestamp(ts_ns // NS_PER_SECOND, tz=UTC).month


class SettlementClock:
    """What settles next, and at which index averages; fed with ticks and expiries as they are seen."""

    def __init__(self) -> None:
        self.next_ns = 0
        self._averages: dict[str, WindowAverage] = {}
        self._expiries_ns: set[tuple[int, str]] = set()

    def start(self, now_ns: int) -> None:
        """Sets the first settlement: the one after `now_ns`."""
        self.next_ns = next_settlement_ns(now_ns)

    def advance(self) -> None:
        """Goes on to the next day's settlement and forgets what has expired."""
        self._expiries_ns = {(expiry_ns, name) for expiry_ns, name in self._expiries_ns if expiry_ns > self.next_ns}
        self.next_ns += NS_PER_DAY

    def tick(self, underlying: str, now_ns: int, price_usd: float) -> None:
        """Takes an index tick, on the venue's clock."""
        average = self._averages.get(underlying)
        if average is None:
            average = self._averages[underlying] = WindowAverage()
        average.tick(now_ns, price_usd)

    def expect(self, underlying: str, expiry_ns: int) -> None:
        """Something of `underlying` expires at `expiry_ns`."""
        if expiry_ns >= self.next_ns:
            self._expiries_ns.add((expiry_ns, underlying))

    def settlements(
        self, perpetual_prices_usd: Mapping[str, float], clocks: Clocks
    ) -> Iterator[DailySettlement | Delivery]:
        """What settles at `next_ns`: each perpetual's session at its price, then each underlying's expiry.

        Errors      BadInputError where no index was seen before a delivery
        """
        for name, price_usd in perpetual_prices_usd.items():
            yield DailySettlement(
                exch_ts_ns=clocks.exch_ns, local_ts_ns=clocks.local_ns, instrument=name, price_usd=price_usd
            )
        for expiry_ns, underlying in sorted(self._expiries_ns):
            if expiry_ns == self.next_ns:
                yield Delivery(
                    exch_ts_ns=clocks.exch_ns,
                    local_ts_ns=clocks.local_ns,
                    underlying=underlying,
                    expiry_ns=expiry_ns,
                    price_usd=self._delivery_price_usd(underlying),
                )

    def _delivery_price_usd(self, underlying: str) -> float:
        average = self._averages.get(underlying)
        price_usd = average.average_usd(self.next_ns) if average is not None else None
        if price_usd is None:
            raise BadInputError(
                f"{underlying} options expire at {format_utc(self.next_ns)} and no index was seen before: "
                "the market needs index ticks"
            )
        return price_usd
