from typing import Any

import numpy as np
import pytest

from flatbook.report.contenders import Trial
from flatbook.report.walk_forward import choose

SUMMARY: dict[str, Any] = {}


def trials(*hourly: list[float]) -> list[Trial]:
    return [Trial(f"window {number}", SUMMARY, np.array(usd)) for number, usd in enumerate(hourly)]


def test_the_best_by_profit_over_risk_in_all_earlier_windows_is_chosen() -> None:
    steady = trials([10.0, 11.0, 9.0], [10.0, 9.0])
    wild = trials([900.0, -800.0, 500.0], [-900.0, 800.0])
    chosen = choose([wild, steady])
    assert chosen.variant == 1
    hours = np.array([10.0, 11.0, 9.0, 10.0, 9.0])
    assert chosen.pnl_per_risk == pytest.approx(24 * hours.mean() / (24**0.5 * hours.std(ddof=1)), rel=1e-14)


def test_who_took_no_risk_is_never_preferred_and_the_first_of_equals_is_kept() -> None:
    idle, losing = trials([0.0, 0.0, 0.0]), trials([-10.0, 5.0, -3.0])
    assert choose([idle, losing]).variant == 1
    assert choose([losing, losing]).variant == 0
