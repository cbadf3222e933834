"""Conversations with the venue as generators: rounds of questions, each answered before the next. Pure.

A step yields the questions of a round and is sent their outcomes, in the same order: done or refused by the venue, for
a round of which anything was lost or may have been done ends the script. Whoever runs it begins another.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

from flatbook.venues.deribit.client_requests import Asked, Outcome


class Question(NamedTuple):
    """What to ask."""

    method: str
    params: dict[str, Any]


Steps = Generator[list[Question], list[Asked], None]

_ANSWERED = (Outcome.DONE, Outcome.REFUSED)


class Script:
    """Steps under way. `next_round` says what to ask; every outcome that is its own goes to `settled`."""

    def __init__(self, steps: Steps) -> None:
        self.is_over = self.has_failed = False
        self._steps = steps
        self._round: dict[int, Asked | None] = {}
        self._answers: list[Asked] | None = None
        self._is_due = True

    def next_round(self) -> list[Question]:
        """The questions to ask now; none while answers are waited for, and when it is over. `asked` follows each."""
        if not self._is_due or self.is_over:
            return []
        self._is_due = False
        try:
            questions = self._steps.send(self._answers) if self._answers is not None else next(self._steps)
        except StopIteration:
            self.is_over = True
            return []
        self._round = {}
        if not questions:
            self._answers, self._is_due = [], True
            return self.next_round()
        return questions

    def asked(self, asked: Asked) -> None:
        """One of the round's questions is on its way."""
        self._round[asked.id] = None

    def settled(self, asked: Asked) -> bool:
        """Takes an outcome; whether it was of this round."""
        if asked.id not in self._round or self.is_over:
            return False
        if asked.outcome not in _ANSWERED:
            self.stop()
            return True
        self._round[asked.id] = asked
        answers = [each for each in self._round.values() if each is not None]
        if len(answers) == len(self._round):
            self._answers, self._is_due, self._round = answers, True, {}
        return True

    def stop(self) -> None:
        """Nothing more of it."""
        self.is_over = self.has_failed = True
        self._steps.close()
