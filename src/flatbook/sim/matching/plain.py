"""The order book as one would say it: a list of orders, searched whole each time. The twin that `book` is held to."""

from flatbook.sim.matching.book import Outcome, Resting, SelfTrade, TimeInForce, Trade


class PlainBook:
    """Price-time priority over one list in order of arrival; as `Book`, without changes of levels."""

    def __init__(self) -> None:
        self.orders: list[Resting] = []

    def depth(self, side: int) -> list[tuple[int, int]]:
        """Prices and lots of a side, best first."""
        prices = sorted({order.price_ticks for order in self.orders if order.side == side}, reverse=side > 0)
        return [
            (price, sum(o.left_lots for o in self.orders if o.side == side and o.price_ticks == price))
            for price in prices
        ]

    def submit(self, order: Resting, time_in_force: TimeInForce, self_trade: SelfTrade) -> Outcome:
        """As `Book.submit`."""
        outcome = Outcome(order.left_lots)
        makers = self._facing(order)
        ahead = 0
        for maker in makers:
            if ahead < order.left_lots and maker.owner == order.owner and self_trade is SelfTrade.REJECT_TAKER:
                outcome.overlaps = True
                return outcome
            ahead += maker.left_lots
        others = sum(maker.left_lots for maker in makers if maker.owner != order.owner)
        if time_in_force is TimeInForce.FILL_OR_KILL and others < order.left_lots:
            return outcome
        for maker in makers:
            if order.left_lots == 0:
                break
            if maker.owner == order.owner:
                outcome.displaced.append(maker)
                self.orders.remove(maker)
                continue
            traded = min(order.left_lots, maker.left_lots)
            order.left_lots -= traded
            maker.left_lots -= traded
            outcome.trades.append(Trade(maker, maker.price_ticks, traded, maker.left_lots == 0))
            if maker.left_lots == 0:
                self.orders.remove(maker)
        outcome.left_lots = order.left_lots
        if order.left_lots and time_in_force.rests:
            self.orders.append(order)
            outcome.rests = True
        return outcome

    def cancel(self, number: int) -> Resting:
        """As `Book.cancel`."""
        order = next((order for order in self.orders if order.number == number), None)
        if order is None:
            raise KeyError(number)
        self.orders.remove(order)
        return order

    def reduce(self, number: int, left_lots: int) -> None:
        """As `Book.reduce`, for an order that is there and larger."""
        next(order for order in self.orders if order.number == number).left_lots = left_lots

    def _facing(self, order: Resting) -> list[Resting]:
        """The orders it may trade with, first to trade first; sorting keeps the order of arrival."""
        within = [
            maker
            for maker in self.orders
            if maker.side == -order.side and order.side * (order.price_ticks - maker.price_ticks) >= 0
        ]
        return sorted(within, key=lambda maker: order.side * maker.price_ticks)
