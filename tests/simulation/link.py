"""The line between a client's machine and the venue's service, both without sockets, in simulated time.

Each way keeps its order and takes its time, as a socket does; faults are what no socket should do, and some do.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from itertools import count

import msgspec

from flatbook.domain.units import NS_PER_SECOND
from flatbook.service.exchange.api import Api
from flatbook.service.exchange.session import Session
from flatbook.venues.deribit.rpc import decode_request
from tests.simulation.faults import OF_NOTIFICATIONS, OF_REQUESTS, Fault, Kind

LATENCY_NS = NS_PER_SECOND // 50
NEVER_NS = 2**63 - 1


class Opened:
    """The line stands."""


class Broken:
    """The line is gone."""


Arrival = bytes | Opened | Broken


class Link:
    """At most one connection. `matters` says which requests the faults wait for, by method.

    `done` counts the faults that took effect: those that wait for a frame when one came.
    """

    def __init__(self, api: Api, matters: Callable[[str], bool]) -> None:
        self.session: Session | None = None
        self.done: Counter[Kind] = Counter()
        self.unreachable_until_ns = 0
        self._api, self._matters = api, matters
        self._armed: list[Fault] = []
        self._ids: dict[int | str | None, Fault] = {}
        self._numbers = count()
        self._to_venue: list[tuple[int, int, bytes, Kind | None]] = []
        self._to_us: list[tuple[int, int, Arrival]] = []
        self._stalled_until_ns = self._last_ns = 0
        self._is_dead = False
        self._held: bytes | None = None

    def next_ns(self) -> int:
        """When something arrives next, at either end."""
        return min((way[0][0] for way in (self._to_venue, self._to_us) if way), default=NEVER_NS)

    def befall(self, fault: Fault, now_ns: int) -> bool:
        """Lets a fault of the line happen, now or to the next frame that it fits; whether it was now."""
        if fault.kind in OF_REQUESTS | OF_NOTIFICATIONS:
            self._armed.append(fault)
            return False
        if fault.kind is Kind.STALL:
            self._stalled_until_ns = now_ns + round((2 + 10 * fault.size) * NS_PER_SECOND)
        elif fault.kind is Kind.SILENT_BREAK:
            self._is_dead = self.session is not None
            return self._is_dead
        elif fault.kind is Kind.UNREACHABLE:
            self.unreachable_until_ns = now_ns + round((1 + 5 * fault.size) * NS_PER_SECOND)
            self.cut(now_ns)
        return True

    def calm(self) -> None:
        """Whatever waits for its frame waits no more."""
        self._armed.clear()
        self._ids.clear()

    def open(self, now_ns: int) -> None:
        """The client wants a connection."""
        self._forget()
        answer: Arrival = Broken() if now_ns < self.unreachable_until_ns else Opened()
        self._push(answer, now_ns + 2 * LATENCY_NS)

    def close(self, now_ns: int) -> None:
        """The client wants it no more; what is on its way to either side is lost."""
        self._forget()
        if self.session is not None:
            self._api.disconnect(self.session, now_ns)
            self.session = None

    def send(self, raw: bytes, now_ns: int) -> None:
        """The client sends a request."""
        fault = None
        request = decode_request(raw)
        if self._matters(request.method):
            fault = self._disarm(OF_REQUESTS)
        if fault is not None and fault.kind in (Kind.LOST_ANSWER, Kind.LATE_ANSWER):
            self._ids[request.id] = fault
        elif fault is not None:
            self.done[fault.kind] += 1
        if fault is None or fault.kind is not Kind.LOST_REQUEST:
            heapq.heappush(
                self._to_venue, (now_ns + LATENCY_NS, next(self._numbers), raw, fault.kind if fault else None)
            )

    def deliver(self, now_ns: int) -> None:
        """What is on its way to the venue arrives now."""
        under_way, self._to_venue = self._to_venue, []
        for _, _, raw, _ in sorted(under_way):
            if self.session is not None and not self._is_dead:
                self._api.receive(self.session, raw, now_ns)

    def reach_venue(self, now_ns: int) -> None:
        """Everything that has come to the venue is taken, and what it says set on its way."""
        while self._to_venue and self._to_venue[0][0] <= now_ns:
            _, _, raw, befallen = heapq.heappop(self._to_venue)
            if self.session is None or self._is_dead:
                continue
            if befallen is not Kind.BREAK_BEFORE:
                self._api.receive(self.session, raw, now_ns)
            if befallen in (Kind.BREAK_BEFORE, Kind.BREAK_AFTER):
                self.cut(now_ns)
        self._collect(now_ns)

    def reach_us(self, now_ns: int) -> list[Arrival]:
        """What has come to the client, in order."""
        arrived = []
        while self._to_us and self._to_us[0][0] <= now_ns:
            _, _, told = heapq.heappop(self._to_us)
            if isinstance(told, Opened):
                self.session, self._is_dead = self._api.connect(), False
            arrived.append(told)
        return arrived

    def _collect(self, now_ns: int) -> None:
        session = self.session
        if session is None:
            return
        waiting, session.outbox = session.outbox, []
        for raw in waiting if not self._is_dead else ():
            self._tell(raw, now_ns)
        if session.is_closing:
            self.cut(now_ns, keeps_said=True)

    def _tell(self, raw: bytes, now_ns: int) -> None:
        at_ns = max(now_ns + LATENCY_NS, self._stalled_until_ns)
        if b'"method":"subscription"' in raw:
            self._notify(raw, at_ns)
            return
        fault = self._ids.pop(_HEADS.decode(raw).id, None) if self._ids else None
        if fault is not None:
            self.done[fault.kind] += 1
        if fault is None:
            self._push(raw, at_ns)
        elif fault.kind is Kind.LATE_ANSWER:
            # Not in the order of its line: an answer may be made by another machine than the feed's.
            late_ns = at_ns + round((2 + 8 * fault.size) * NS_PER_SECOND)
            heapq.heappush(self._to_us, (late_ns, next(self._numbers), raw))

    def _notify(self, raw: bytes, at_ns: int) -> None:
        if self._held is not None:
            first, self._held = self._held, None
            self._push(raw, at_ns)
            self._push(first, at_ns)
            return
        fault = self._disarm(OF_NOTIFICATIONS, raw) if self._armed else None
        if fault is None:
            self._push(raw, at_ns)
            return
        self.done[fault.kind] += 1
        if fault.kind is Kind.REORDER:
            self._held = raw
        elif fault.kind is Kind.DUPLICATE:
            self._push(raw, at_ns)
            # Some while later, or at once.
            heapq.heappush(self._to_us, (at_ns + round(fault.size * NS_PER_SECOND), next(self._numbers), raw))

    def _disarm(self, kinds: frozenset[Kind], told: bytes = b"") -> Fault | None:
        """The first fault that waits for such a frame; half of those of notifications wait for our own."""
        is_own = b'"channel":"user.' in told
        # Of a quote: what a hedge trades its own answer tells as well.
        is_fill = is_own and b'"trades":[{' in told and b'"quote_set_id":' in told
        for fault in self._armed:
            waits = is_fill if fault.kind is Kind.FILL_UNTOLD else is_own is (fault.size < 0.5)
            if fault.kind in kinds and (not told or waits):
                self._armed.remove(fault)
                return fault
        return None

    def _push(self, told: Arrival, at_ns: int) -> None:
        self._last_ns = max(self._last_ns, at_ns)
        heapq.heappush(self._to_us, (self._last_ns, next(self._numbers), told))

    def cut(self, now_ns: int, *, keeps_said: bool = False) -> None:
        """Both ends learn that the line is gone; what was said before the venue ended it still arrives."""
        if self.session is None:
            return
        if not keeps_said:
            self._forget()
        self._to_venue.clear()
        self._api.disconnect(self.session, now_ns)
        self.session = None
        self._push(Broken(), now_ns + LATENCY_NS)

    def _forget(self) -> None:
        self._to_venue.clear()
        self._to_us.clear()
        self._held = None
        self._stalled_until_ns = self._last_ns = 0
        self._is_dead = False


class _Head(msgspec.Struct):
    id: int | str | None = None


_HEADS = msgspec.json.Decoder(_Head)
