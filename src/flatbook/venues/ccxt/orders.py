"""What was asked of a venue, and what is known of it: an answer that does not come is no refusal. Pure.

    ASKED ──the venue knows it──▶ LIVE ──done there──▶ ENDING ──every fill is told──▶ ENDED
      │                            ▲
      ├──refused──▶ ENDED          │
      └──no answer──▶ UNKNOWN ─────┴──not there, and too old to arrive──▶ ENDED, as rejected

An order is found again by the id that we gave it, never sent again. Its end is told after its last fill: a venue says
"cancelled" on one line and the fill that crossed it on another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import OrderAccepted, OrderCancelled, OrderEvent, OrderRejected
from flatbook.domain.units import NS_PER_SECOND
from flatbook.ledger import VenueFee
from flatbook.venues.ccxt.accounts import Account
from flatbook.venues.ccxt.amounts import exch_ts_ns, maybe
from flatbook.venues.ccxt.codec import lots_of
from flatbook.venues.ccxt.codec_own import own_trade
from flatbook.venues.ccxt.listing import Listed

Row = Mapping[str, Any]
OwnEvent = OrderEvent | VenueFee

_LEGAL = re.compile(r"[A-Za-z0-9]{1,32}")
"""What every venue here takes as a client's id of an order; OKX is the strictest."""

_OUR_ID = ("clOrdId", "orderLinkId", "label", "c")
"""Where a venue's own words have our id, beside where the library puts it."""

_ENDS = {"closed": "", "canceled": "cancelled", "expired": "expired", "rejected": "rejected"}


class Known(StrEnum):
    """What is known of an order."""

    ASKED = "asked"
    UNKNOWN = "unknown"
    LIVE = "live"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(slots=True)
class Asked:
    """One order. `told_lots` of it were told as fills, `filled_lots` the venue says are filled."""

    order_id: str
    client_id: str
    listed: Listed
    size_lots: int
    asked_ns: int
    known: Known = Known.ASKED
    venue_id: str = ""
    told_lots: int = 0
    filled_lots: int = 0
    end: str = ""
    end_ns: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether the venue has filled more than was told."""
        return self.filled_lots > self.told_lots


class OrderTable:
    """Our orders at one account. `run` sets ids of one run apart from those of another, for venues keep them."""

    def __init__(self, account: Account, run: str) -> None:
        self._account, self._run = account, run
        self._by_client_id: dict[str, Asked] = {}
        self._by_venue_id: dict[str, Asked] = {}
        self._trades: set[str] = set()
        self._held: list[tuple[Row, Listed]] = []

    def ask(self, order_id: str, listed: Listed, size_lots: int, now_ns: int) -> Asked:
        """An order that is about to be sent.

        Errors      BadInputError for an id that was used, or that a venue would not take
        """
        client_id = f"{self._run}{order_id}"
        if not _LEGAL.fullmatch(client_id):
            raise BadInputError(
                f"order id {client_id!r}: venues take 1 to 32 letters and digits; shorten the run's name"
            )
        if client_id in self._by_client_id:
            raise BadInputError(f"order {order_id} was sent before; give each a new id")
        asked = self._by_client_id[client_id] = Asked(order_id, client_id, listed, size_lots, now_ns)
        return asked

    def find(self, order_id: str) -> Asked:
        """By our id.

        Errors      BadInputError where none was sent
        """
        asked = self._by_client_id.get(f"{self._run}{order_id}")
        if asked is None:
            raise BadInputError(f"order {order_id} was not sent to {self._account.name}")
        return asked

    @property
    def open(self) -> list[Asked]:
        """Those not at their end."""
        return [asked for asked in self._by_client_id.values() if asked.known is not Known.ENDED]

    def refused(self, asked: Asked, reason: str, now_ns: int) -> list[OwnEvent]:
        """The venue did not take it."""
        asked.known = Known.ENDED
        rejected = OrderRejected(exch_ts_ns=now_ns, local_ts_ns=now_ns, order_id=asked.order_id, reason=reason)
        return [rejected, *self._release(now_ns)]

    def lost(self, asked: Asked) -> None:
        """No answer came; what is known already stands."""
        if asked.known is Known.ASKED:
            asked.known = Known.UNKNOWN

    def absent(self, asked: Asked, now_ns: int) -> list[OwnEvent]:
        """The venue, asked for it, does not know it: final once it is too old to arrive still."""
        if asked.known not in (Known.ASKED, Known.UNKNOWN):
            return []
        if now_ns - asked.asked_ns < self._account.final_after_s * NS_PER_SECOND:
            return []
        return self.refused(asked, "never arrived", now_ns)

    def told(self, row: Row, now_ns: int) -> list[OwnEvent]:
        """The venue's word on an order, by answer, stream or look-up; nothing for one that is not ours.

        Errors      BadInputError where its sizes are no whole lots
        """
        asked = self._asked(row, str(row.get("id") or ""))
        if asked is None or asked.known is Known.ENDED:
            return []
        self._name(asked, str(row.get("id") or ""))
        ts_ns, events = exch_ts_ns(row, now_ns), list[OwnEvent]()
        status, filled = row.get("status"), maybe(row.get("filled"), "filled")
        if filled is not None:
            asked.filled_lots = max(asked.filled_lots, lots_of(asked.listed, filled))
        if asked.known in (Known.ASKED, Known.UNKNOWN):
            if status == "rejected":
                return self.refused(asked, _reason(row, "rejected"), now_ns)
            asked.known = Known.LIVE
            events.append(OrderAccepted(exch_ts_ns=ts_ns, local_ts_ns=now_ns, order_id=asked.order_id))
        if status in _ENDS:
            asked.known, asked.end, asked.end_ns = Known.ENDING, _reason(row, _ENDS[status]), ts_ns
        return [*events, *self._release(now_ns), *self._ended(asked, now_ns)]

    def traded(self, row: Row, listed: Listed, now_ns: int) -> list[OwnEvent]:
        """A trade of the account, told once, its fees, and what it ends.

        One that names no order of ours waits while an order in its contract has no name at the venue yet: it may be
        that one's. Else somebody traded by hand, and its order has the venue's id.

        Errors      BadInputError as of `own_trade`; it stays untold
        """
        venue_id = str(row.get("order") or "")
        asked = self._asked(row, venue_id)
        if asked is None and any(one.listed == listed and not one.venue_id for one in self.open):
            self._held.append((row, listed))
            return []
        trade = own_trade(row, listed, venue_id if asked is None else asked.order_id, self._account.name, now_ns)
        if trade.fill.trade_id in self._trades:
            return []
        self._trades.add(trade.fill.trade_id)
        events: list[OwnEvent] = [trade.fill, *trade.fees]
        if asked is None:
            return events
        self._name(asked, venue_id)
        asked.told_lots += trade.fill.size_lots
        asked.filled_lots = max(asked.filled_lots, asked.told_lots)
        return [*events, *self._ended(asked, now_ns)]

    def _release(self, now_ns: int) -> list[OwnEvent]:
        """Trades that waited for an order's name; what must wait on is held again."""
        held, self._held = self._held, []
        return [event for row, listed in held for event in self.traded(row, listed, now_ns)]

    def _name(self, asked: Asked, venue_id: str) -> None:
        if venue_id:
            asked.venue_id = venue_id
            self._by_venue_id[venue_id] = asked

    def _asked(self, row: Row, venue_id: str) -> Asked | None:
        info = row.get("info") or {}
        for client_id in (row.get("clientOrderId"), *(info.get(name) for name in _OUR_ID)):
            if client_id is not None and (found := self._by_client_id.get(str(client_id))) is not None:
                return found
        return self._by_venue_id.get(venue_id)

    def _ended(self, asked: Asked, now_ns: int) -> list[OwnEvent]:
        """The end of an order, once every fill of it is told; one that is filled whole ended with its last fill."""
        if asked.told_lots >= asked.size_lots:
            asked.known = Known.ENDED
            return []
        if asked.known is not Known.ENDING or asked.is_behind:
            return []
        asked.known = Known.ENDED
        reason = asked.end or "closed by the venue"
        return [OrderCancelled(exch_ts_ns=asked.end_ns, local_ts_ns=now_ns, order_id=asked.order_id, reason=reason)]


def _reason(row: Row, otherwise: str) -> str:
    info = row.get("info") or {}
    for name in ("cancel_reason", "rejectReason", "cancelSource"):
        if info.get(name) not in (None, "", "EC_NoError"):
            return f"{otherwise}: {info[name]}" if otherwise else str(info[name])
    return otherwise
