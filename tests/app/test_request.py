"""What a user asks for, kept so that it can be asked for again."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.app.request import RunRequest
from flatbook.domain.errors import BadInputError
from flatbook.sim.fills import FillModel

TIMES = st.integers(0, 2**62)


@given(
    policy_text=st.text(),
    seed=st.integers(-(2**63), 2**63 - 1),
    span=st.none() | st.tuples(TIMES, TIMES).filter(lambda span: span[0] < span[1]),
    fill_model=st.sampled_from(FillModel),
    hours=st.floats(1e-3, 1e5),
)
def test_a_request_survives_the_journals_header(
    policy_text: str, seed: int, span: tuple[int, int] | None, fill_model: FillModel, hours: float
) -> None:
    times: dict[str, Any] = dict(zip(("session", "from_ns", "to_ns"), ("dir", *span), strict=True)) if span else {}
    request = RunRequest(policy="p", policy_text=policy_text, seed=seed, fill_model=fill_model, hours=hours, **times)
    assert RunRequest.from_json(request.to_json()) == request


def test_paths_and_units() -> None:
    request = RunRequest(policy="p", policy_text="", session="a/b", warm_up_hours=0.5)
    assert request.session_path == Path("a/b")
    assert request.warm_up_ns == 1_800 * 10**9
    assert RunRequest(policy="p", policy_text="").session_path is None


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"from_ns": 1}, "--from and --to choose a part of a recorded session"),
        ({"to_ns": 1}, "give --session, or use --hours"),
        ({"session": "s", "from_ns": 2, "to_ns": 2}, "--from is not before --to; swap them"),
        ({"session": "s", "from_ns": 3, "to_ns": 2}, "--from is not before --to; swap them"),
    ],
)
def test_what_cannot_be_asked_for(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        RunRequest(policy="p", policy_text="", **asked)
