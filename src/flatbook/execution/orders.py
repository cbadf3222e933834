"""Single orders under way: who waits for what."""

from dataclasses import dataclass

from flatbook.domain.errors import ImpossibleTransitionError
from flatbook.domain.events import Fill, OrderAccepted, OrderCancelled, OrderEvent, OrderRejected
from flatbook.domain.intents import OrderIntent
from flatbook.execution.lifecycle import OrderSignal, OrderState, step


@dataclass(slots=True)
class WorkingOrder:
    """An order from its sending to its end. `open_lots` is what may still fill."""

    order_id: str
    intent: OrderIntent
    sent_ns: int
    state: OrderState
    open_lots: int


ENDED_KEPT = 1024
"""How many orders are remembered after their end, for answers that crossed it on the wire."""


class Orders:
    """Orders by id; those at an end are forgotten after a while.

    Invariant   an order in `working` is SENT or LIVE, with open lots
    """

    def __init__(self) -> None:
        self.working: dict[str, WorkingOrder] = {}
        self.sent = 0
        self._ended: dict[str, WorkingOrder] = {}

    def send(self, intent: OrderIntent, now_ns: int) -> WorkingOrder:
        """Takes an order that the gate let through, and names it."""
        order = WorkingOrder(f"h{self.sent}", intent, now_ns, OrderState.SENT, intent.size_lots)
        self.sent += 1
        self.working[order.order_id] = order
        return order

    def take(self, event: OrderEvent) -> WorkingOrder:
        """Moves the order an answer is about along its life.

        Errors      ImpossibleTransitionError for an order never sent, and for what the order's state does not allow
        """
        order = self.working.get(event.order_id) or self._ended.get(event.order_id)
        if order is None:
            raise ImpossibleTransitionError(f"order {event.order_id} is not ours, yet the venue answered {event}")
        order.state = step(order.state, self._signal(order, event), order.order_id)
        if isinstance(event, Fill):
            order.open_lots -= event.size_lots
        if order.state not in (OrderState.SENT, OrderState.LIVE) and order.order_id in self.working:
            self._ended[order.order_id] = self.working.pop(order.order_id)
            if len(self._ended) > ENDED_KEPT:
                del self._ended[next(iter(self._ended))]
        return order

    @staticmethod
    def _signal(order: WorkingOrder, event: OrderEvent) -> OrderSignal:
        match event:
            case OrderAccepted():
                return OrderSignal.ACCEPTED
            case OrderRejected():
                return OrderSignal.REJECTED
            case OrderCancelled():
                return OrderSignal.CANCELLED
            case Fill():
                if event.size_lots > order.open_lots:
                    raise ImpossibleTransitionError(
                        f"order {order.order_id} has {order.open_lots} lots open and cannot fill {event.size_lots}"
                    )
                return OrderSignal.PART_FILLED if event.size_lots < order.open_lots else OrderSignal.FILLED
