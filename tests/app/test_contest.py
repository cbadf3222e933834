from collections.abc import Sequence

import numpy as np
import pytest

from flatbook.app.contest import Contest, Place, Span, places, refuse_to_walk
from flatbook.app.request import RunRequest
from flatbook.app.variants import Candidates, parse_candidates, variants
from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.policies import parse_policy, read_policy
from flatbook.report.contenders import Trial
from flatbook.sim.fills import FillModel

DAYS = tuple(Span(f"2025-04-0{day}", f"2025-04-0{day}T12:00") for day in (1, 2, 3))
WIDTHS = Candidates("quoting.half_spread_vol", ("0.01", "0.02"))


def ask(policy: str, place: Place) -> RunRequest:
    return RunRequest(
        policy=policy,
        policy_text=read_policy(policy)[1],
        session="a session",
        from_ns=place.window,
        seed=place.seed,
        fill_model=place.fills,
    )


def contest(models: Sequence[FillModel], candidates: tuple[Candidates, ...]) -> Contest:
    return Contest(("primitive", "advanced"), places(["a session"], DAYS, [1], models), candidates, ask)


def trial(policy: str, window: int, hourly_usd: list[float]) -> Trial:
    run = {"policy": policy, "session": "a session", "seed": 1, "from_ns": window, "to_ns": window + 1}
    return Trial(f"window {window}", {"run": run}, np.array(hourly_usd))


def test_a_window_is_traded_by_what_was_best_before_it() -> None:
    field = contest([FillModel.QUEUE], (WIDTHS,))
    plan = field.plan()
    assert len({planned.run_id for planned in plan}) == len(plan) == 2 * 2 * 3
    # By policy and variant: the hours of the three windows. The second variant is the better one on the first day
    # alone, so it trades the second; there it loses all, and the first trades the third.
    narrow, wide = [[5.0, 6.0, 4.0], [9.0, 8.0, 9.0], [1.0, 2.0, 3.0]], [[6.0, 6.1, 6.0], [-900.0, 0.0, 9.0], [7.0] * 3]
    trials = [
        trial(policy, window, hours)
        for policy in ("primitive", "advanced")
        for variant in (narrow, wide)
        for window, hours in enumerate(variant)
    ]
    (ranking,), choices = field.rank(trials, np.random.default_rng(1))
    for contender in ranking.contenders:
        assert [each.hourly_usd.tolist() for each in contender.trials] == [wide[1], narrow[2]]
    assert [choice.changes["quoting.half_spread_vol"] for choice in choices] == ["0.02", "0.01"] * 2


def test_fill_models_are_ranked_apart() -> None:
    models = (FillModel.PESSIMISTIC, FillModel.OPTIMISTIC)
    field = contest(models, ())
    plan = field.plan()
    assert [planned.request.fill_model for planned in plan] == [model for model in models for _ in DAYS] * 2
    trials = [
        trial(policy, window, [gain, gain + window, gain + 1.0])
        for policy in ("primitive", "advanced")
        for gain in (1.0, 50.0)
        for window in range(3)
    ]
    rankings, choices = field.rank(trials, np.random.default_rng(1))
    assert not choices
    assert [ranking.fills for ranking in rankings] == ["pessimistic", "optimistic"]
    means = [ranking.found.own[0]["pnl_usd_per_day"].value for ranking in rankings]
    assert means == pytest.approx([24 * 15 / 9, 24 * (49 + 15 / 9)])


def test_variants_are_the_policy_with_its_fields_changed() -> None:
    _, text = read_policy("advanced")
    made = variants(text, "advanced", [WIDTHS, Candidates("hedging.rule", ("none", "price_of_risk"))])
    read = [parse_policy(each.text, "here") for each in made]
    found = [(policy.quoting.half_spread_vol, policy.hedging.rule) for policy in read]
    assert found == [(0.01, "none"), (0.01, "price_of_risk"), (0.02, "none"), (0.02, "price_of_risk")]
    kept = parse_policy(text, "here")
    assert all(policy.risk_price == kept.risk_price and policy.limits == kept.limits for policy in read)
    assert variants(text, "advanced", ())[0].text == text


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("quoting.size_coin", "give a field and its candidates"),
        ("size_coin=1,2", "give a field and its candidates"),
        ("quoting.size_coin=1,", "give a field and its candidates"),
        ("quoting.size_coin=1", "nothing to choose among"),
        ("quoting.size_coin=1,1", "nothing to choose among"),
    ],
)
def test_candidates_that_leave_no_choice_are_refused(word: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        parse_candidates(word)


def test_a_field_that_no_policy_has_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"advanced with quoting.nothing=1.* is not a field of a policy"):
        variants(read_policy("advanced")[1], "advanced", [Candidates("quoting.nothing", ("1", "2"))])


@pytest.mark.parametrize(
    ("sessions", "spans", "says"),
    [
        ([None], DAYS, "give --session and two --window or more"),
        (["a", "b"], DAYS, "give --session and two --window or more"),
        (["a"], DAYS[:1], "give --session and two --window or more"),
        (["a"], DAYS[::-1], "begins before 2025-04-03T12:00"),
    ],
)
def test_who_walks_forward_needs_windows_in_order(sessions: list[str | None], spans: list[Span], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        refuse_to_walk(sessions, spans)
    refuse_to_walk(["a"], DAYS)
