"""The life of a request for a quote, as its maker sees it: a table of states and signals. What it lacks raises.

    RECEIVED ──quote──▶ QUOTED ──won, lost──▶ WON, LOST
       │                  │ ▲
       │                amend │
       │                  ▼ │
       │                AMENDED        QUOTED and AMENDED alike: won, lost, expired, cancelled (by us or the taker)
       └──decline──▶ DECLINED          so does a request end that expired or was withdrawn before we quoted: silence

A trade may cross our cancel or our clock's expiry on the wire: the venue's word stands, and it is WON. A venue that
then tells the end of the request again tells nothing new.
"""

from collections.abc import Mapping
from enum import StrEnum

from flatbook.domain.errors import ImpossibleTransitionError


class RfqState(StrEnum):
    """Where a request is."""

    RECEIVED = "received"
    QUOTED = "quoted"
    AMENDED = "amended"
    DECLINED = "declined"
    EXPIRED = "expired"
    WON = "won"
    LOST = "lost"
    CANCELLED = "cancelled"


class RfqSignal(StrEnum):
    """What happens to it: of our own doing, and of the taker's or the clock's."""

    QUOTE = "quote"
    AMEND = "amend"
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"
    WIN = "win"
    LOSE = "lose"


_STANDING = {
    RfqSignal.AMEND: RfqState.AMENDED,
    RfqSignal.CANCEL: RfqState.CANCELLED,
    RfqSignal.EXPIRE: RfqState.EXPIRED,
    RfqSignal.WIN: RfqState.WON,
    RfqSignal.LOSE: RfqState.LOST,
}

RFQ_TRANSITIONS: Mapping[RfqState, Mapping[RfqSignal, RfqState]] = {
    RfqState.RECEIVED: {
        RfqSignal.QUOTE: RfqState.QUOTED,
        RfqSignal.DECLINE: RfqState.DECLINED,
        RfqSignal.CANCEL: RfqState.DECLINED,
        RfqSignal.EXPIRE: RfqState.DECLINED,
    },
    RfqState.QUOTED: _STANDING,
    RfqState.AMENDED: _STANDING,
    RfqState.DECLINED: {RfqSignal.EXPIRE: RfqState.DECLINED, RfqSignal.LOSE: RfqState.DECLINED},
    RfqState.EXPIRED: {
        RfqSignal.EXPIRE: RfqState.EXPIRED,
        RfqSignal.LOSE: RfqState.LOST,
        RfqSignal.WIN: RfqState.WON,
    },
    RfqState.CANCELLED: {
        RfqSignal.EXPIRE: RfqState.CANCELLED,
        RfqSignal.LOSE: RfqState.CANCELLED,
        RfqSignal.WIN: RfqState.WON,
    },
    RfqState.WON: {RfqSignal.EXPIRE: RfqState.WON},
    RfqState.LOST: {RfqSignal.EXPIRE: RfqState.LOST},
}

STANDING = frozenset({RfqState.QUOTED, RfqState.AMENDED})
"""States in which a quote of ours can be traded."""


def step_rfq(state: RfqState, signal: RfqSignal, rfq_id: str) -> RfqState:
    """The state after `signal`; raises ImpossibleTransitionError where the table has no such entry."""
    try:
        return RFQ_TRANSITIONS[state][signal]
    except KeyError:
        raise ImpossibleTransitionError(f"request {rfq_id} is {state} and cannot take {signal}") from None
