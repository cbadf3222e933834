"""How a maker stands on the venue: its name there, its protection, and how often it looks at its account. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from flatbook.domain.errors import BadInputError
from flatbook.venues.deribit.codec_requests import MmpConfig

LABEL = "flatbook"
"""Every label, quote set and MMP group of ours begins so, whichever run it is of."""

_LONGEST_LABEL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerTerms:
    """One maker's terms.

    underlying        the coin whose coin-settled contracts it makes and hedges
    run               tells this run's orders from those of others and of other runs; letters, digits, dashes
    venue             the venue's name in the books
    protection        what the venue is asked for; its group is ours alone
    most_quotes       instruments in one mass quote, and `most_under_way` such requests that are not answered yet: what
                      comes meanwhile is kept, an instrument once, and not queued
    overlap_s         how far back of the last trade heard a reconciliation asks: the venue's lists may lag its channels
    poll_s            how often the account's cash is looked at; `settling_s` how often from 08:00 UTC until the day's
                      settlement and delivery are known
    """

    underlying: str
    run: str
    protection: MmpConfig
    venue: str = "deribit"
    most_quotes: int = 100
    most_under_way: int = 2
    overlap_s: float = 60.0
    poll_s: float = 60.0
    settling_s: float = 5.0

    def __post_init__(self) -> None:
        if len(self.label("h" + 12 * "0")) > _LONGEST_LABEL:
            raise BadInputError(f"run {self.run!r} is too long for the venue's labels; shorten it")

    @property
    def quote_set(self) -> str:
        """The set of all our quotes, of every run: a new run takes over what an old one left."""
        return LABEL

    @property
    def mmp_group(self) -> str:
        """Our group."""
        return self.protection.mmp_group

    @property
    def index_name(self) -> str:
        """The index by the venue's name."""
        return f"{self.underlying.lower()}_usd"

    def label(self, order_id: str) -> str:
        """The label of an order of this run."""
        return f"{LABEL}-{self.run}:{order_id}"

    def order_id(self, label: str) -> str | None:
        """The order of this run that has the label; None for another's."""
        ours, found, order_id = label.partition(":")
        return order_id if found and ours == f"{LABEL}-{self.run}" else None


def protection_of(
    index_name: str, interval_s: int, frozen_s: int, quantity_coin: float, quote_coin: float
) -> MmpConfig:
    """The venue's protection of our group: no more than `quantity_coin` contracts within `interval_s`, and no quote of
    more than `quote_coin`, which the venue must be told: it reserves margin for that."""
    return MmpConfig(
        index_name=index_name,
        mmp_group=LABEL,
        interval=interval_s,
        frozen_time=frozen_s,
        quantity_limit=quantity_coin,
        max_quote_quantity=quote_coin,
    )


class Standing(Enum):
    """Whether a maker may send."""

    DOWN = "down"
    UNSURE = "unsure"
    RECONCILING = "reconciling"
    READY = "ready"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Known:
    """Where the books of a maker that goes on stand.

    trade_ids       booked already; `until_ns` is the venue's time of the last trade or payment booked, and `paid_ns` of
                    the last payment alone, or of when the books began: payments are heard of later than trades
    settled_ns      the last 08:00 UTC whose settlement is booked
    orders          of those at work, by id, the instrument and the lots that had not traded
    quoted          instruments of which a quote may have rested
    quote_number    of the last message of quotes
    """

    trade_ids: frozenset[str]
    until_ns: int
    paid_ns: int
    settled_ns: int
    orders: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    quoted: frozenset[str] = frozenset()
    quote_number: int = 0
