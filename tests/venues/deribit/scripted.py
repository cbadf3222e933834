"""The client's machine wired to the simulated exchange, in scripted time: no socket, no waiting, faults on demand."""

from collections.abc import Callable
from itertools import count

from flatbook.domain.units import NS_PER_SECOND
from flatbook.service.exchange.session import Session
from flatbook.venues.deribit.client_actions import Action, Close, Open, Send, Settled, Stop, Terms, Told
from flatbook.venues.deribit.client_protocol import Protocol
from flatbook.venues.deribit.codec_requests import Credentials
from tests.service.exchange.desk import Desk

ALICE = Credentials("alice", "secret")


class Line:
    """A client and a venue. Time moves by `run`; what the client is told is kept."""

    def __init__(
        self,
        desk: Desk,
        credentials: Credentials | None = ALICE,
        terms: Terms = Terms(),  # noqa: B008 - frozen
        *,
        skew_ns: int = 0,
        chance: Callable[[], float] = lambda: 0.5,
    ) -> None:
        numbers = count()
        self.desk, self.skew_ns = desk, skew_ns
        self.client = Protocol(terms, credentials, chance, lambda: f"n{next(numbers)}")
        self.session: Session | None = None
        self.told: list[Told] = []
        self.settled: list[Settled] = []
        self.closes: list[str] = []
        self.opens_ns: list[int] = []
        self.stopped = ""
        self.is_deaf = self.is_unreachable = False
        self.lose: Callable[[bytes], bool] = lambda raw: False

    @property
    def now_ns(self) -> int:
        """The client's time."""
        return self.desk.now_ns + self.skew_ns

    def start(self) -> "Line":
        """Connects."""
        self.do(self.client.start(self.now_ns))
        return self

    def do(self, actions: list[Action]) -> None:
        """Does what the client wants done, and brings it the answers, until nothing more is said."""
        for action in actions:
            match action:
                case Open():
                    self.opens_ns.append(self.now_ns)
                    if not self.is_unreachable:
                        self.session = self.desk.api.connect()
                        self.do(self.client.opened(self.now_ns))
                case Send(raw) if self.session is not None and not self.lose(raw):
                    self.desk.api.receive(self.session, raw, self.desk.now_ns)
                case Close(reason):
                    self.closes.append(reason)
                    self._drop()
                case Told():
                    self.told.append(action)
                case Settled():
                    self.settled.append(action)
                case Stop(reason):
                    self.stopped = reason
        self._deliver()

    def cut(self) -> None:
        """The connection breaks; what was on its way to the client is lost."""
        self._drop()
        self.do(self.client.closed(self.now_ns))

    def run(self, seconds: float, step_s: float = 1.0) -> None:
        """Lets time pass."""
        end_ns = self.desk.now_ns + round(seconds * NS_PER_SECOND)
        while self.desk.now_ns < end_ns:
            wake_ns = self.client.wake_ns(self.now_ns) - self.skew_ns
            longest = min(end_ns, self.desk.now_ns + round(step_s * NS_PER_SECOND))
            self.desk.now_ns = min(max(wake_ns, self.desk.now_ns + 1), longest)
            self.desk.api.advance(self.desk.now_ns)
            self._deliver()
            self.do(self.client.advance(self.now_ns))

    def _drop(self) -> None:
        if self.session is not None:
            self.desk.api.disconnect(self.session, self.desk.now_ns)
            self.session = None

    def _deliver(self) -> None:
        while self.session is not None and self.session.outbox and not self.is_deaf:
            self.do(self.client.received(self.now_ns, self.session.outbox.pop(0)))
        if self.session is not None and self.session.is_closing and not self.session.outbox:
            self.cut()
