"""What was asked of the venue, and what is known of each: an answer that does not come is no refusal. Pure.

A request that changes orders and is not answered in time may have been done. Its outcome is unknown until the venue's
own state says it, or the answer comes after all; it is never sent again by itself.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import parse_name
from flatbook.venues.deribit.codec import Answer
from flatbook.venues.deribit.codec_own import Refusal
from flatbook.venues.deribit.credits import MATCHING

AMBIGUOUS = frozenset({13028, 13888})
"""Errors that say the venue did not finish in time, and not whether it did: temporarily_unavailable, timed_out."""


class Outcome(Enum):
    """What is known of a request."""

    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    UNSENT = "unsent"
    """The connection ended before it was sent: it was not done."""
    LOST = "lost"
    """Not answered, and of no effect: it may be asked again."""
    UNKNOWN = "unknown"
    RECONCILED = "reconciled"
    """Was unknown; `answer` is the venue's state since, an order that is not in it was not placed."""


@dataclass(slots=True)
class Asked:
    """One request: the user's, or the client's own. `for_request` is the one whose outcome this one asks for."""

    id: int
    method: str
    params: dict[str, Any] = field(repr=False)
    outcome: Outcome = Outcome.QUEUED
    sent_ns: int = 0
    due_ns: int = 0
    answer: Answer | None = None
    for_request: int | None = None
    is_users: bool = False

    @property
    def has_effect(self) -> bool:
        """Whether it changes orders."""
        return self.method in MATCHING

    @property
    def answered_ns(self) -> int:
        """When the venue answered, on its clock; when it was asked, on ours, where it has not."""
        return self.answer.usOut * 1_000 if self.answer is not None else self.sent_ns

    @property
    def error(self) -> Refusal | None:
        """The venue's refusal, where it refused."""
        return None if self.answer is None else self.answer.error


class RequestTable:
    """Requests by id. Those that are over are told once and forgotten, but for those whose outcome is unknown."""

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._open: dict[int, Asked] = {}
        self._next_id = 1

    def add(
        self, method: str, params: dict[str, Any], *, for_request: int | None = None, is_users: bool = False
    ) -> Asked:
        """A request that is to be sent."""
        asked = Asked(self._next_id, method, params, for_request=for_request, is_users=is_users)
        self._next_id += 1
        self._open[asked.id] = asked
        return asked

    def sent(self, asked: Asked, now_ns: int) -> None:
        """It is on its way."""
        asked.outcome, asked.sent_ns, asked.due_ns = Outcome.SENT, now_ns, now_ns + self._timeout_ns

    def answered(self, answer: Answer) -> Asked | None:
        """The request that this answers, late or not; None for one that nobody remembers."""
        asked = self._open.get(answer.id) if isinstance(answer.id, int) else None
        if asked is None:
            return None
        asked.answer = answer
        if answer.error is not None and answer.error.code in AMBIGUOUS:
            return self.give_up(asked)
        asked.outcome = Outcome.DONE if answer.error is None else Outcome.REFUSED
        del self._open[asked.id]
        return asked

    def overdue(self, now_ns: int) -> list[Asked]:
        """Those whose time is up now."""
        late = [each for each in self._open.values() if each.outcome is Outcome.SENT and each.due_ns <= now_ns]
        return [self.give_up(each) for each in late]

    def disconnected(self) -> list[Asked]:
        """The connection is gone: what was sent will not be answered, what was not sent was not done."""
        waiting = [each for each in self._open.values() if each.outcome in (Outcome.SENT, Outcome.QUEUED)]
        return [self.give_up(each) for each in waiting]

    def unknown(self) -> list[Asked]:
        """Requests that may have been done."""
        return [each for each in self._open.values() if each.outcome is Outcome.UNKNOWN]

    def undecided(self) -> list[Asked]:
        """Requests that change orders and may yet be done, or may have been: not sent, on their way, or unknown."""
        return [each for each in self._open.values() if each.has_effect]

    def reconcile(self, request_id: int, state: Answer) -> Asked | None:
        """The venue's state tells the outcome of a request; None where it is known by now."""
        asked = self._open.get(request_id)
        if asked is None or asked.outcome is not Outcome.UNKNOWN:
            return None
        asked.outcome, asked.answer = Outcome.RECONCILED, state
        del self._open[request_id]
        return asked

    def to_ask_after(self, now_ns: int) -> list[Asked]:
        """Those unknown whose outcome is to be asked for now, and again if that is not answered.

        Not before their own time is up: a request that is still on its way could be done after the answer.
        """
        due = [each for each in self.unknown() if each.due_ns <= now_ns]
        for each in due:
            each.due_ns = now_ns + self._timeout_ns
        return due

    def next_due_ns(self) -> int | None:
        """When the first request is overdue."""
        return min((each.due_ns for each in self._open.values() if each.outcome is Outcome.SENT), default=None)

    def give_up(self, asked: Asked) -> Asked:
        """No answer to this one is waited for any more."""
        if asked.outcome is Outcome.QUEUED:
            asked.outcome = Outcome.UNSENT
        else:
            asked.outcome = Outcome.UNKNOWN if asked.has_effect else Outcome.LOST
        if asked.outcome is not Outcome.UNKNOWN:
            del self._open[asked.id]
        return asked


def question_of(asked: Asked) -> tuple[str, dict[str, Any]]:
    """What to ask to learn the outcome of a request: the order by its label or id, else all open orders."""
    params = asked.params
    if asked.method in ("private/buy", "private/sell") and params.get("label"):
        return "private/get_order_state_by_label", {"currency": _currency(params), "label": params["label"]}
    if asked.method in ("private/edit", "private/cancel") and params.get("order_id"):
        return "private/get_order_state", {"order_id": params["order_id"]}
    return "private/get_open_orders", {}


def _currency(params: dict[str, Any]) -> str:
    try:
        return parse_name(str(params.get("instrument_name"))).settle
    except UnknownInstrumentError:
        return "any"
