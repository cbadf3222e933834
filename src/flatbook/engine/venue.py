"""What the engine's shell asks of a market: the one interface of replay, simulation, paper and live."""

from collections.abc import Iterator
from typing import Protocol

from flatbook.domain.events import AnyEvent
from flatbook.domain.reference import Instrument
from flatbook.engine.effects import Effects


class Venue(Protocol):
    """A market that yields events and takes effects.

    The events come in local-time order; answers to our orders are among them. `submit` is called after each event,
    before the next is asked for; it never answers at once: what it causes arrives as a later event.
    """

    def events(self) -> Iterator[AnyEvent]:
        """Every event from here on, until the market ends."""
        ...

    def list_instrument(self, row: int, instrument: Instrument) -> None:
        """Says which instrument a row of `QuoteChanges` means; rows are given once, rising from zero."""
        ...

    def submit(self, effects: Effects) -> None:
        """Takes what the engine wants done."""
        ...
