"""The life of an order as a table of states and events. A missing entry is impossible, and raises.

    SENT ──accepted──▶ LIVE ──part──▶ LIVE ──filled──▶ FILLED
      │                 └──cancelled──▶ CANCELLED
      ├──rejected──▶ REJECTED
      └──part, filled, cancelled: the venue's answer overtook its acknowledgement

A fill may arrive after a cancel that it crossed on the wire: it is booked, and the order stays where it is.
"""

from enum import StrEnum

from flatbook.domain.errors import ImpossibleTransitionError


class OrderState(StrEnum):
    """Where an order is."""

    SENT = "sent"
    LIVE = "live"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class OrderSignal(StrEnum):
    """What happens to it."""

    ACCEPTED = "accepted"
    PART_FILLED = "part_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


TRANSITIONS: dict[OrderState, dict[OrderSignal, OrderState]] = {
    OrderState.SENT: {
        OrderSignal.ACCEPTED: OrderState.LIVE,
        OrderSignal.PART_FILLED: OrderState.LIVE,
        OrderSignal.FILLED: OrderState.FILLED,
        OrderSignal.CANCELLED: OrderState.CANCELLED,
        OrderSignal.REJECTED: OrderState.REJECTED,
    },
    OrderState.LIVE: {
        OrderSignal.ACCEPTED: OrderState.LIVE,
        OrderSignal.PART_FILLED: OrderState.LIVE,
        OrderSignal.FILLED: OrderState.FILLED,
        OrderSignal.CANCELLED: OrderState.CANCELLED,
    },
    OrderState.FILLED: {OrderSignal.ACCEPTED: OrderState.FILLED},
    OrderState.CANCELLED: {
        OrderSignal.ACCEPTED: OrderState.CANCELLED,
        OrderSignal.PART_FILLED: OrderState.CANCELLED,
        OrderSignal.FILLED: OrderState.FILLED,
    },
    OrderState.REJECTED: {},
}


def step(state: OrderState, signal: OrderSignal, order_id: str) -> OrderState:
    """The state after `signal`; raises ImpossibleTransitionError where the table has no such entry."""
    try:
        return TRANSITIONS[state][signal]
    except KeyError:
        raise ImpossibleTransitionError(f"order {order_id} is {state} and cannot be {signal}") from None
