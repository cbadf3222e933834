"""How a maker stands on the venue: its name there, its protection, and how often it looks at its account. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from flatbook.domain.errors import BadInputError
from flatbook.venues.deribit.codec_account import Protected
from flatbook.venues.deribit.codec_own import OwnOrder
from flatbook.venues.deribit.codec_requests import MmpConfig

LABEL = "flatbook"
"""Every label, quote set and MMP group of ours begins so, whichever run it is of."""

LIMIT_PLACES = 4
"""Decimals of the limits of protection. Source: the venue's page on market-maker protection."""

_LONGEST_LABEL = 64
_CLOCK_ERROR_MS = 1_000
_GRANTED = ("interval", "frozen_time", "quantity_limit", "delta_limit", "vega_limit", "max_quote_quantity")


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

    def quote_id(self, number: int) -> str:
        """The id of this run's message of quotes of that number."""
        return f"{self.run}-{number}"

    def label(self, order_id: str) -> str:
        """The label of an order of this run."""
        return f"{LABEL}-{self.run}:{order_id}"

    def order_id(self, label: str) -> str | None:
        """The order of this run that has the label; None for another's."""
        ours, found, order_id = label.partition(":")
        return order_id if found and ours == f"{LABEL}-{self.run}" else None


def protection_of(
    index_name: str,
    interval_s: int,
    frozen_s: int,
    quantity_coin: float,
    quote_coin: float,
    delta_coin: float = 0.0,
    vega_usd: float = 0.0,
) -> MmpConfig:
    """The venue's protection of our group: within `interval_s` no more than `quantity_coin` contracts, and, where they
    are not 0, a net delta of `delta_coin` and a net vega of `vega_usd` per vol point; and no quote of more than
    `quote_coin`, which the venue must be told: it reserves margin for that.

    Errors      BadInputError for a limit that is nothing in the places that the venue counts in
    """
    return MmpConfig(
        index_name=index_name,
        mmp_group=LABEL,
        interval=interval_s,
        frozen_time=frozen_s,
        quantity_limit=_in_places("quantity", quantity_coin),
        delta_limit=_in_places("delta", delta_coin),
        vega_limit=_in_places("vega", vega_usd),
        max_quote_quantity=_in_places("quote", quote_coin),
    )


def _in_places(name: str, limit: float) -> float:
    """No more than the limit; one that is rounded to 0 would be none."""
    scale = 10**LIMIT_PLACES
    rounded: float = math.floor(limit * scale * (1 + 1e-12)) / scale
    if limit and not rounded:
        raise BadInputError(f"a {name} limit of {limit:g}: the venue counts in {1 / scale:g}; raise it")
    return rounded


def require_granted(asked: MmpConfig, granted: Iterable[Protected]) -> None:
    """What the venue says that it does is what it was asked for.

    Errors      BadInputError where it is not, or is not said
    """
    ours = [each for each in granted if (each.index_name, each.mmp_group) == (asked.index_name, asked.mmp_group)]
    if not ours:
        raise BadInputError(
            f"the venue does not say that it protects {asked.mmp_group} on {asked.index_name}; without that no quote "
            "is sent: ask it to enable market-maker protection for the account"
        )
    pairs = [(name, getattr(each, name) or 0, getattr(asked, name)) for each in ours for name in _GRANTED]
    other = [f"{name} {has:g} instead of {wanted:g}" for name, has, wanted in pairs if not math.isclose(has, wanted)]
    if other:
        raise BadInputError(
            f"the venue protects {asked.mmp_group} otherwise than asked: {', '.join(other)}; set the policy's "
            "[protection] to what it grants"
        )


def require_no_rival(orders: Iterable[OwnOrder], terms: MakerTerms, since_ms: int) -> None:
    """None of these was sent by another run of ours since that moment of the venue's time, a little later.

    Errors      BadInputError where one was: two makers on one account would trade against each other's books
    """
    for order in orders:
        if order.quote_set_id == LABEL:
            is_ours = (order.quote_id or "").rpartition("-")[0] == terms.run
            sent_ms = order.last_update_timestamp if order.order_state == "open" else 0
        else:
            is_ours = not order.label.startswith(f"{LABEL}-") or terms.order_id(order.label) is not None
            sent_ms = order.creation_timestamp
        if not is_ours and sent_ms > since_ms + _CLOCK_ERROR_MS:
            raise BadInputError(
                f"another maker of flatbook trades on this account: order {order.order_id} in {order.instrument_name} "
                "is not of this run; stop the other, maybe on another machine, and go on with --resume"
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
