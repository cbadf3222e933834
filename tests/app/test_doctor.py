"""A doctor's rows from what a venue may say."""

from pathlib import Path

import pytest

from flatbook.app.doctor import examine
from flatbook.app.doctor_rows import Verdict, graded
from flatbook.app.doctor_venue import Listed, Step, credentials, heard, instruments, limits
from flatbook.app.feed import FeedTerms
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.credits import load_limits
from tests.app.served import nobody_there

OPTION = Listed("BTC-27JUN25-80000-C", "option", 0.0001, 0.1, 0.0003, 0.0003, [Step(0.005, 0.0005)])
PERPETUAL = Listed("BTC-PERPETUAL", "future", 0.5, 10.0, 0.0, 0.0005)


def changed(listed: Listed, **changes: object) -> Listed:
    return Listed(**{**{name: getattr(listed, name) for name in listed.__struct_fields__}, **changes})


def test_a_key_that_can_withdraw_is_warned_of_by_its_scope() -> None:
    careful = credentials(("connection", "trade:read_write", "account:read_write", "wallet:read"))
    assert (careful.verdict, careful.remedy) == (Verdict.OK, "")
    assert "it cannot trade; to trade, make a key with account:read_write" in credentials(("trade:read_write",)).text
    careless = credentials(("connection", "trade:read_write", "wallet:read_write"))
    assert careless.verdict is Verdict.WARN
    assert "wallet:read_write can withdraw" in careless.remedy
    assert credentials(()).verdict is Verdict.OK


def test_contracts_are_held_against_our_tables() -> None:
    def rows(*listed: Listed) -> dict[str, tuple[Verdict, str]]:
        return {each.name: (each.verdict, each.text) for each in instruments(list(listed), load_reference())}

    assert rows(OPTION, PERPETUAL) == {
        "instruments": (Verdict.OK, "1 options, 1 futures"),
        "contract tables": (Verdict.OK, "ticks, lots and fees are the venue's"),
    }
    found = rows(changed(OPTION, tick_size=0.0005), changed(PERPETUAL, taker_commission=0.0006))
    assert found["ticks and lots"] == (
        Verdict.FAIL,
        f"BTC option: tick 0.0005, ours 0.0001 (1: {OPTION.instrument_name})",
    )
    assert found["fees"][1] == "BTC perpetual: taker fee 0.0006, ours 0.0005 (1: BTC-PERPETUAL)"
    assert rows(changed(OPTION, tick_size_steps=[]))["ticks and lots"][0] is Verdict.FAIL
    assert rows(changed(OPTION, min_trade_amount=0.2))["ticks and lots"][0] is Verdict.FAIL
    assert rows(OPTION, changed(OPTION, instrument_name="BTC-FS-27JUN25_PERP"))["unknown contracts"][0] is Verdict.WARN
    assert rows()["instruments"][0] is Verdict.FAIL


def test_an_accounts_limits_are_held_against_those_kept_to() -> None:
    configured = load_limits()
    assert limits({}, configured).verdict is Verdict.OK
    pool = {"rate": 5, "burst": 20}
    said = {"non_matching_engine": {"rate": 20, "burst": 100}, "matching_engine": {"trading": {"total": pool}}}
    enough = limits(said, configured)
    assert enough.verdict is Verdict.OK
    assert "matching_engine trading total 5 a second, 20 at once" in enough.text
    too_few = limits({"matching_engine": {"rate": 1, "burst": 20}}, configured)
    assert too_few.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("ages_ms", "verdict"), [([5.0, 9.0], Verdict.OK), ([5.0, 3_000.0, 4_000.0], Verdict.WARN), ([], Verdict.FAIL)]
)
def test_data_that_is_late_warns_and_silence_fails(ages_ms: list[float], verdict: Verdict) -> None:
    assert heard("index", ages_ms, 5.0).verdict is verdict
    assert heard("trades", [], 5.0).verdict is Verdict.OK


def test_what_there_should_be_much_of_is_graded() -> None:
    limits_gb = (5.0, 0.5)
    verdicts = [graded("disk", value, limits_gb, "GB", "make room").verdict for value in (6.0, 4.9, 0.4)]
    assert verdicts == [Verdict.OK, Verdict.WARN, Verdict.FAIL]


def test_without_a_venue_this_machine_is_still_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flatbook.app.feed.CONNECT_S", 0.2)
    made = examine(FeedTerms(url=nobody_there()), tmp_path / "runs" / "to come")
    assert not made.is_reachable
    assert not made.is_well
    assert [each.name for each in made.findings] == ["versions", "disk", "memory", "venue"]
    assert "no connection within 0.2 s" in made.findings[-1].text
