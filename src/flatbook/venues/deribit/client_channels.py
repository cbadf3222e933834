"""Channels that are listened to: which were granted, what each said last, which books have a hole. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flatbook.venues.deribit.channels import parse_channel
from flatbook.venues.deribit.client_book import AssembledBook, Taken
from flatbook.venues.deribit.codec import Notification
from flatbook.venues.deribit.codec_messages import BookUpdate

_STEADY = ("ticker", "perpetual", "index")
"""Sorts of channel that speak as long as the market is open; of others, silence tells nothing."""


def is_private(name: str) -> bool:
    """Whether a channel is one account's."""
    channel = parse_channel(name)
    return channel is not None and channel.is_private


@dataclass(slots=True)
class Channels:
    """The channels wanted, in the order they were asked for, and their state on this connection."""

    wanted: dict[str, None] = field(default_factory=dict)
    heard_ns: dict[str, int] = field(default_factory=dict)
    """When each granted channel last spoke, or was granted."""
    books: dict[str, AssembledBook] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Wanted, and not granted: the venue leaves out what it does not have, without a word."""
    renewals: int = 0
    _renewing: set[str] = field(default_factory=set)

    def want(self, names: Iterable[str]) -> list[str]:
        """Adds channels; those that are new."""
        new = [name for name in dict.fromkeys(names) if name not in self.wanted]
        self.wanted |= dict.fromkeys(new)
        return new

    def drop(self, names: Iterable[str]) -> list[str]:
        """Forgets channels; those that were wanted."""
        gone = [name for name in dict.fromkeys(names) if name in self.wanted]
        for name in gone:
            del self.wanted[name]
            self.heard_ns.pop(name, None)
            self.books.pop(name, None)
            self.refused.discard(name)
            self._renewing.discard(name)
        return gone

    def granted(self, asked: Iterable[str], names: Iterable[str], now_ns: int) -> None:
        """The venue's answer to a subscription."""
        names = set(names)
        for name in asked:
            if name not in self.wanted:
                continue
            self._renewing.discard(name)
            if name in names:
                self.heard_ns[name] = now_ns
                self.refused.discard(name)
            else:
                self.heard_ns.pop(name, None)
                self.refused.add(name)

    def lose(self) -> None:
        """The connection is gone, and every subscription with it; whatever the books missed is missing in them."""
        self.heard_ns.clear()
        self._renewing.clear()
        for book in self.books.values():
            book.lose()

    def hear(self, told: Notification, now_ns: int) -> bool:
        """Notes what a channel said; whether its book has a hole that nobody is mending yet."""
        name = told.channel
        if name in self.heard_ns:
            self.heard_ns[name] = now_ns
        if not isinstance(told.data, BookUpdate):
            return False
        book = self.books.get(name)
        if book is None:
            book = self.books[name] = AssembledBook(told.data.instrument_name)
        return book.take(told.data) is Taken.GAP and name not in self._renewing

    def silent(self, now_ns: int, most_ns: int) -> list[str]:
        """Channels that should have spoken within `most_ns` and did not, and are not being renewed."""
        return [
            name
            for name, heard_ns in self.heard_ns.items()
            if now_ns - heard_ns >= most_ns and name not in self._renewing and _is_steady(name)
        ]

    def renew(self, names: list[str], now_ns: int) -> None:
        """Channels are given up and asked for anew: a book then begins with a snapshot."""
        self._renewing.update(names)
        self.heard_ns |= dict.fromkeys(names, now_ns)
        self.renewals += len(names)


def _is_steady(name: str) -> bool:
    channel = parse_channel(name)
    return channel is not None and channel.sort in _STEADY
