"""Whole simulated days under every policy that ships: they add up, and can be made again."""

from pathlib import Path

import pytest

from flatbook.app.rebuild import rebuilt
from flatbook.app.request import RunRequest
from flatbook.app.run import carry_out, new_run
from flatbook.policies import read_policy, shipped_policies


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("policy", shipped_policies())
def test_a_day_adds_up_and_comes_out_the_same_again(policy: str, seed: int, tmp_path: Path) -> None:
    request = RunRequest(policy=policy, policy_text=read_policy(policy)[1], seed=seed, hours=24.0)
    run = new_run(request, tmp_path)
    summary = carry_out(run).summary
    assert summary["ledger"]["balanced"]
    assert summary["checks"]["unexplained_share_of_gross"] < 0.02
    assert summary["flow"]["fills"] > 0
    again = rebuilt(run.directory.path).summary
    assert again["run"]["state_sha256"] == summary["run"]["state_sha256"]
    assert again["pnl"] == summary["pnl"]
