"""A connection to Deribit as a machine without a socket: events with their time go in, actions come out.

    DOWN -> CONNECTING -> SIGNING_IN -> LIVE          any of them -> DOWN -> CONNECTING, after a jittered wait

Nothing here waits, reads a clock or draws chance: a whole day with its breaks is a test that takes no time. Times are
nanoseconds UTC on one clock of ours.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.venues.deribit.client_actions import Action, Close, Open, Phase, Send, Settled, Stop, Terms, Told
from flatbook.venues.deribit.client_channels import Channels, is_private
from flatbook.venues.deribit.client_clock import ClockOffset
from flatbook.venues.deribit.client_requests import Asked, Outcome, RequestTable, question_of
from flatbook.venues.deribit.codec import Answer, Codec, Heartbeat, Notification, result_of
from flatbook.venues.deribit.codec_own import Grant
from flatbook.venues.deribit.codec_requests import Credentials, encode_request, subscriptions
from flatbook.venues.deribit.credits import Credits, Limits, load_limits
from flatbook.venues.deribit.rpc import Code

_SUBSCRIBE = ("public/subscribe", "private/subscribe")
_HEARTBEAT = "public/set_heartbeat"
_TOO_MANY = Code.TOO_MANY_REQUESTS.value[0]
_REFUSED_KEYS = {Code.INVALID_CREDENTIALS.value[0], Code.UNAUTHORIZED.value[0], Code.FORBIDDEN.value[0]}
_UNKNOWN_TO_VENUE = {Code.UNAUTHORIZED.value[0], Code.RAW_NOT_FOR_UNAUTHORIZED.value[0]}
_GONE = {Code.ORDER_NOT_FOUND.value[0], Code.NOT_OPEN_ORDER.value[0]}


class Protocol:
    """One connection, kept up. `chance` draws from [0, 1); `nonce` never gives the same twice.

    lost        why we gave up the last line; "" where it was not we who did
    """

    def __init__(
        self,
        terms: Terms,
        credentials: Credentials | None,
        chance: Callable[[], float],
        nonce: Callable[[], str],
        limits: Limits | None = None,
    ) -> None:
        self.codec, self.clock, self.channels = Codec(), ClockOffset(), Channels()
        self.phase = Phase.DOWN
        self.connects, self.lost = 0, ""
        self._terms, self._credentials, self._chance, self._nonce = terms, credentials, chance, nonce
        self._credits = Credits((limits or load_limits()).share(terms.share))
        self._table = RequestTable(round(terms.request_timeout_s * NS_PER_SECOND))
        self._queues: dict[bool, deque[Asked]] = {True: deque(), False: deque()}
        self._signing: Asked | None = None
        self._grant: Grant | None = None
        self._failures = 0
        self._refresh_ns = self._phase_ns = self._heard_ns = self._again_ns = self._advanced_ns = 0

    def start(self, now_ns: int) -> list[Action]:
        """Begins."""
        return self._connect(now_ns)

    def opened(self, now_ns: int) -> list[Action]:
        """The socket is open. Whoever has credentials signs in before anything else: raw channels ask for it."""
        self._heard_ns = now_ns
        if self._credentials is None:
            return self._live(now_ns)
        self._enter(Phase.SIGNING_IN, now_ns)
        return self._sign_in(now_ns, self._credentials)

    def closed(self, now_ns: int) -> list[Action]:
        """The socket is gone, or could not be opened."""
        if self.phase in (Phase.DOWN, Phase.STOPPED):
            return []
        self.lost, terms = "", self._terms
        if self.phase is Phase.LIVE and now_ns - self._phase_ns >= terms.longest_wait_s * NS_PER_SECOND:
            self._failures = 0
        wait_s = min(terms.first_wait_s * 2 ** min(self._failures, 30), terms.longest_wait_s)
        # Between half and all of it: those whom one outage cut off do not come back at once.
        self._again_ns = now_ns + round(wait_s * (0.5 + 0.5 * self._chance()) * NS_PER_SECOND)
        self._failures += 1
        self._enter(Phase.DOWN, now_ns)
        self._grant = self._signing = None
        self.channels.lose()
        for queue in self._queues.values():
            queue.clear()
        return self._given_up(self._table.disconnected())

    def interrupted(self, reason: str, now_ns: int) -> list[Action]:
        """We were away, and the venue may have been told nothing of it: the line is given up, and begun anew."""
        self.clock = ClockOffset()
        return [] if self.phase in (Phase.DOWN, Phase.STOPPED) else self._hang_up(reason, now_ns)

    def received(self, now_ns: int, raw: bytes) -> list[Action]:
        """A message came.

        Errors      BadInputError for what is no message of the venue's
        """
        message = self.codec.decode(raw)
        self._heard_ns = now_ns
        if isinstance(message, Notification):
            told: list[Action] = [Told(message, now_ns)]
            return [*told, *self._renew([message.channel], now_ns)] if self.channels.hear(message, now_ns) else told
        if isinstance(message, Heartbeat):
            # Whatever else waits for credits: the part of the limits that is left free is for this.
            is_asked = message.type == "test_request"
            return [self._send(self._table.add("public/test", {}), now_ns)] if is_asked else []
        return self._answered(message, now_ns)

    def advance(self, now_ns: int) -> list[Action]:
        """Time passed. To be called at `wake_ns` at the latest."""
        self._advanced_ns = now_ns
        if self.phase is Phase.STOPPED:
            return []
        if self.phase is Phase.DOWN:
            return self._connect(now_ns) if now_ns >= self._again_ns else []
        if now_ns >= self._dead_ns():
            reason = "not open in time" if self.phase is Phase.CONNECTING else "no sign of life"
            return self._hang_up(reason, now_ns)
        actions = self._given_up(self._table.overdue(now_ns))
        if self._signing is not None and self._signing.outcome is Outcome.LOST:
            return [*actions, *self._hang_up("sign-in was not answered", now_ns)]
        if self.phase is not Phase.LIVE:
            return actions
        if self._grant is not None and self._signing is None and now_ns >= self._refresh_ns:
            actions.append(self._refresh(self._grant, now_ns))
        silent = self.channels.silent(now_ns, round(self._terms.most_silence_s * NS_PER_SECOND))
        if silent:
            actions += self._renew(silent, now_ns)
        for asked in self._table.to_ask_after(now_ns) if self._credentials is not None else ():
            self._queue(*question_of(asked), for_request=asked.id)
        return [*actions, *self._flush(now_ns)]

    def wake_ns(self, now_ns: int) -> int:
        """When to call `advance` next, if nothing comes before."""
        if self.phase is Phase.DOWN:
            return self._again_ns
        if self.phase is Phase.STOPPED:
            return now_ns + NS_PER_HOUR
        # From when it was last called: whoever asks again after each message would wait for ever.
        moments = [self._advanced_ns + NS_PER_SECOND, self._dead_ns()]
        moments += [due for due in (self._table.next_due_ns(),) if due is not None]
        if self.phase is Phase.LIVE:
            moments += [self._credits.ready_ns(now_ns, queue[0].method) for queue in self._queues.values() if queue]
        return max(min(moments), now_ns)

    def subscribe(self, now_ns: int, names: Iterable[str]) -> list[Action]:
        """Listens to channels from now on, over every reconnect."""
        new = self.channels.want(names)
        if self.phase is not Phase.LIVE:
            return []
        self._queue_subscriptions(new)
        return self._flush(now_ns)

    def unsubscribe(self, now_ns: int, names: Iterable[str]) -> list[Action]:
        """Listens to channels no more."""
        gone = self.channels.drop(names)
        if self.phase is not Phase.LIVE:
            return []
        self._queue_subscriptions(gone, verb="unsubscribe")
        return self._flush(now_ns)

    def ask(self, now_ns: int, method: str, params: dict[str, Any]) -> tuple[Asked, list[Action]]:
        """Asks the venue; the outcome comes as `Settled`. What is asked while there is no connection was not done."""
        asked = self._table.add(method, params, is_users=True)
        if self.phase is not Phase.LIVE:
            return asked, self._given_up([self._table.give_up(asked)])
        self._queues[asked.has_effect].append(asked)
        return asked, self._flush(now_ns)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the key may do, as the venue granted it; nothing where nobody is signed in."""
        return () if self._grant is None else tuple(self._grant.scope.split())

    def unknown(self) -> list[Asked]:
        """Requests that may have been done."""
        return self._table.unknown()

    def undecided(self) -> list[Asked]:
        """Requests that change orders and of which it is not known yet whether they are done."""
        return self._table.undecided()

    def _connect(self, now_ns: int) -> list[Action]:
        self.connects += 1
        self._enter(Phase.CONNECTING, now_ns)
        return [Open()]

    def _hang_up(self, reason: str, now_ns: int) -> list[Action]:
        given_up = self.closed(now_ns)
        self.lost = reason
        return [Close(reason), *given_up]

    def _enter(self, phase: Phase, now_ns: int) -> None:
        self.phase, self._phase_ns = phase, now_ns

    def _dead_ns(self) -> int:
        """When the connection is given up: it was not opened, or two heartbeats were missed."""
        if self.phase is Phase.CONNECTING:
            return self._phase_ns + round(self._terms.connect_timeout_s * NS_PER_SECOND)
        return self._heard_ns + 2 * self._terms.heartbeat_s * NS_PER_SECOND

    def _live(self, now_ns: int) -> list[Action]:
        self._enter(Phase.LIVE, now_ns)
        self._queue(_HEARTBEAT, {"interval": self._terms.heartbeat_s})
        self._queue_subscriptions(self.channels.wanted)
        return self._flush(now_ns)

    def _sign_in(self, now_ns: int, credentials: Credentials) -> list[Action]:
        self._signing = self._table.add("public/auth", credentials.signed_in(now_ns // 1_000_000, self._nonce()))
        return [self._send(self._signing, now_ns)]

    def _refresh(self, grant: Grant, now_ns: int) -> Action:
        params = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
        self._signing = self._table.add("public/auth", params)
        return self._send(self._signing, now_ns)

    def _signed_in(self, asked: Asked, answer: Answer, now_ns: int) -> list[Action]:
        self._signing = None
        if answer.error is None:
            self._grant = result_of(answer, Grant)
            self._refresh_ns = now_ns + round(self._grant.expires_in * self._terms.refresh_at * NS_PER_SECOND)
            return self._live(now_ns) if self.phase is Phase.SIGNING_IN else []
        if asked.params["grant_type"] == "refresh_token" and self._credentials is not None:
            return self._sign_in(now_ns, self._credentials)
        if answer.error.code not in _REFUSED_KEYS:
            return self._hang_up(f"sign-in failed: {answer.error.describe()}", now_ns)
        over = self._hang_up("sign-in refused", now_ns)
        self._enter(Phase.STOPPED, now_ns)
        return [*over, Stop(f"the venue refuses the key: {answer.error.describe()}")]

    def _answered(self, answer: Answer, now_ns: int) -> list[Action]:
        asked = self._table.answered(answer)
        if asked is None:
            return []
        if answer.usIn:
            self.clock.see(asked.sent_ns, answer.usIn * 1_000, answer.usOut * 1_000, now_ns)
        actions: list[Action] = [Settled(asked)] if asked.is_users else []
        if answer.error is not None and answer.error.code == _TOO_MANY:
            self._credits.drain(now_ns)
            return [*actions, *self._hang_up("too many requests", now_ns)]
        if asked is self._signing:
            return [*actions, *self._signed_in(asked, answer, now_ns)]
        if asked.method in _SUBSCRIBE:
            names = result_of(answer, list[str]) if answer.error is None else []
            self.channels.granted(asked.params["channels"], names, now_ns)
        if answer.error is not None and answer.error.code in _UNKNOWN_TO_VENUE and self._credentials is not None:
            # Private channels fell silent, too, and nobody said when: only a new beginning is whole.
            return [*actions, *self._hang_up("the venue no longer knows us", now_ns)]
        if asked.for_request is not None and (answer.error is None or answer.error.code in _GONE):
            found = self._table.reconcile(asked.for_request, answer)
            actions += [Settled(found)] if found is not None and found.is_users else []
        return actions

    def _given_up(self, over: list[Asked]) -> list[Action]:
        """Requests that were not answered: the user is told of the user's; what keeps the feed up is asked again."""
        for asked in over if self.phase is Phase.LIVE else ():
            if asked.outcome is Outcome.LOST and asked.method in (*_SUBSCRIBE, _HEARTBEAT):
                self._queue(asked.method, asked.params)
        return [Settled(asked) for asked in over if asked.is_users]

    def _renew(self, names: list[str], now_ns: int) -> list[Action]:
        self.channels.renew(names, now_ns)
        self._queue_subscriptions(names, verb="unsubscribe")
        self._queue_subscriptions(names)
        return self._flush(now_ns)

    def _queue_subscriptions(self, names: Iterable[str], *, verb: str = "subscribe") -> None:
        names = list(names)
        for private in (False, True) if self._credentials is not None else (False,):
            for method, params in subscriptions([name for name in names if is_private(name) is private], private):
                self._queue(method.replace("subscribe", verb), params)

    def _queue(self, method: str, params: dict[str, Any], for_request: int | None = None) -> None:
        asked = self._table.add(method, params, for_request=for_request)
        self._queues[asked.has_effect].append(asked)

    def _flush(self, now_ns: int) -> list[Action]:
        """Sends what the credits pay for, in order; orders do not wait behind other requests."""
        actions: list[Action] = []
        for queue in (self._queues[True], self._queues[False]):
            while queue and self._credits.spend(now_ns, queue[0].method):
                actions.append(self._send(queue.popleft(), now_ns))
        return actions

    def _send(self, asked: Asked, now_ns: int) -> Send:
        self._table.sent(asked, now_ns)
        return Send(encode_request(asked.id, asked.method, asked.params))
