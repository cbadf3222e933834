"""Several policies in the same markets: which runs that takes, and what they say once made.

Where fields are to be fitted, every variant of every policy runs in every window, and a policy's run of a window is its
variant's that the windows before it chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from flatbook.app.naming import plain_name
from flatbook.app.request import RunRequest
from flatbook.app.trials import Planned
from flatbook.app.variants import Candidates, Variant, variants
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc, parse_until, parse_utc
from flatbook.report.compare import Choice, Ranking
from flatbook.report.contenders import Contender, Trial, intervals
from flatbook.report.walk_forward import choose
from flatbook.sim.fills import FillModel


class Span(NamedTuple):
    """A window to trade in, as it was written; None where it is open."""

    from_: str | None
    to: str | None


class Place(NamedTuple):
    """One market: where it is, the number of its window, its seed, and which fills are believed."""

    session: str | None
    window: int
    span: Span
    seed: int
    fills: FillModel


def places(
    sessions: Iterable[str | None], spans: Sequence[Span], seeds: Iterable[int], models: Iterable[FillModel]
) -> tuple[Place, ...]:
    """Every market there is of these."""
    return tuple(
        Place(session, number, spans[number], seed, model)
        for model, session, number, seed in product(models, sessions, range(len(spans)), seeds)
    )


def refuse_to_walk(sessions: Sequence[str | None], spans: Sequence[Span]) -> None:
    """Walking forward needs windows of one session, one after the other.

    Errors      BadInputError where they are not
    """
    if len(sessions) != 1 or sessions[0] is None or len(spans) < 2:
        raise BadInputError("--fit walks forward through one recorded session: give --session and two --window or more")
    for before, after in pairwise(spans):
        assert before.to is not None
        assert after.from_ is not None
        if parse_until(before.to) > parse_utc(after.from_):
            raise BadInputError(
                f"--window {after.from_}/{after.to}: begins before {before.to}, where the one before it ends; "
                "give windows in the order of time, none over another"
            )


@dataclass(frozen=True)
class Contest:
    """The policies, by name or file, and the markets they are to run in.

    ask     makes the request of one policy's run in one market
    """

    policies: tuple[str, ...]
    places: tuple[Place, ...]
    candidates: tuple[Candidates, ...]
    ask: Callable[[str, Place], RunRequest]
    _entries: dict[int, tuple[Variant, ...]] = field(default_factory=dict)

    def plan(self) -> list[Planned]:
        """Every run: one policy after the other, one variant after the other, markets in the same order under each.

        Errors      BadInputError or ConfigurationError where one cannot be asked for
        """
        plan = []
        for number, policy in enumerate(self.policies):
            requests = [self.ask(policy, place) for place in self.places]
            self._entries[number] = variants(requests[0].policy_text, policy, self.candidates)
            for (which, variant), (place, request) in product(
                enumerate(self._entries[number], 1), enumerate(requests, 1)
            ):
                parts = [str(number + 1), plain_name(Path(policy).stem)]
                parts += [f"v{which}"] if variant.changes else []
                parts += [str(place)] if len(requests) > 1 else []
                asked = msgspec.structs.replace(request, policy_text=variant.text) if variant.changes else request
                plan.append(Planned(asked, _market(request), "-".join(parts)))
        return plan

    def rank(self, trials: Sequence[Trial], rng: np.random.Generator) -> tuple[list[Ranking], list[Choice]]:
        """What the runs of `plan`, in its order, say under each fill model; and what was chosen on the way."""
        by_run = self._by_run(trials)
        labels = self._labels(by_run)
        rankings, choices = [], []
        for model in dict.fromkeys(place.fills for place in self.places):
            contenders = []
            for number, label in enumerate(labels):
                kept, chosen = self._kept(by_run, number, model)
                contenders.append(Contender(label, tuple(kept)))
                choices += [Choice(model.value, label, *each) for each in chosen]
            rankings.append(Ranking(model.value, contenders, intervals(contenders, rng)))
        return rankings, choices

    def _by_run(self, trials: Sequence[Trial]) -> dict[tuple[int, int, Place], Trial]:
        keys = (
            (number, which, place)
            for number in range(len(self.policies))
            for which in range(len(self._entries[number]))
            for place in self.places
        )
        return dict(zip(keys, trials, strict=True))

    def _kept(
        self, by_run: dict[tuple[int, int, Place], Trial], number: int, model: FillModel
    ) -> tuple[list[Trial], list[tuple[str, dict[str, str], float]]]:
        """One policy's trials under one fill model, and what was chosen for each window."""
        here = [place for place in self.places if place.fills is model]
        if not self.candidates:
            return [by_run[number, 0, place] for place in here], []
        kept, chosen = [], []
        for window in sorted({place.window for place in here})[1:]:
            earlier = [place for place in here if place.window < window]
            of_variant = [
                [by_run[number, which, place] for place in earlier] for which in range(len(self._entries[number]))
            ]
            choice = choose(of_variant)
            now = [place for place in here if place.window == window]
            kept += [by_run[number, choice.variant, place] for place in now]
            changes = dict(self._entries[number][choice.variant].changes)
            chosen.append(("/".join(map(str, now[0].span)), changes, choice.pnl_per_risk))
        return kept, chosen

    def _labels(self, by_run: dict[tuple[int, int, Place], Trial]) -> list[str]:
        """Each policy's own name, with its place in front where two share one."""
        names = [by_run[number, 0, self.places[0]].summary["run"]["policy"] for number in range(len(self.policies))]
        return [name if names.count(name) == 1 else f"{number}-{name}" for number, name in enumerate(names, 1)]


def _market(request: RunRequest) -> str:
    if request.session_path is None:
        return f"the simulated market, seed {request.seed}"
    ends = [format_utc(end)[:16] if end is not None else "…" for end in (request.from_ns, request.to_ns)]
    return f"{request.session_path.name} {'/'.join(ends)}, seed {request.seed}"
