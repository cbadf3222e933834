"""A live run over real sockets: it ends in order, goes on after a crash, agrees with the account, and keeps its key."""

import os
import time
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import msgspec
import pytest

from flatbook.app import feed, live
from flatbook.app.conduct import conduct
from flatbook.app.exchange import ExchangeRequest
from flatbook.app.live import carry_out_live, is_rounding, new_live_run, request_of, resumed_live_run
from flatbook.app.live_booked import Booked
from flatbook.app.live_claim import books_of, claiming
from flatbook.app.live_key import live_key, refuse_scope
from flatbook.app.live_request import LiveRequest, check_policy, terms_of
from flatbook.app.live_venue import LiveVenue
from flatbook.app.request import RunRequest
from flatbook.app.steady import SteadyClock
from flatbook.domain.errors import (
    BadInputError,
    ConfigurationError,
    FlatbookError,
    LimitBreachedError,
    VenueUnreachableError,
)
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.service.exchange.auth import Auth
from flatbook.service.exchange.shapes import Json
from flatbook.store.journal import RunHeader
from flatbook.store.snapshots import SNAPSHOT_DIRECTORY
from flatbook.store.spool import SPOOL_FILE, Spool
from flatbook.venues.deribit import load_reference
from flatbook.venues.deribit.codec_requests import Credentials
from flatbook.venues.deribit.maker_terms import Standing
from flatbook.venues.deribit.statement import Difference
from tests.app.served import compile_kernels, served
from tests.conftest import KEEN

SECRET = "wh1sper-0f-the-vault"
KEY = Credentials("alice", SECRET)
MARKET = ExchangeRequest(seed=3, hours=2.0, clients=(("alice", SECRET),), deposits=(("BTC", 100.0),))


def _request(url: str, policy: str = KEEN, warm_up_s: float = 2.0) -> LiveRequest:
    return LiveRequest(policy="keen", policy_text=policy, url=url, on_venue_clock=True, warm_up_s=warm_up_s)


def _unclaimed(_account: int) -> None:
    """Of makers that nobody else is beside."""


class KilledError(Exception):
    """As if the process were."""


def _rebuilt(path: Path, until: int, *, is_from_start: bool = False) -> tuple[str, int]:
    """The state of a run as it was when it was cut off, made again from what it kept; and of how many events."""
    snapshots, aside = path / SNAPSHOT_DIRECTORY, path / "aside"
    if is_from_start:
        snapshots.rename(aside)
    run = resumed_live_run(path, KEY, _unclaimed)
    replayed = until - run.engine.state.events
    with closing(run.venue), run.journal as journal:
        conduct(run.engine, run.venue, journal, lambda _event: run.engine.state.events < until)
    if is_from_start:
        aside.rename(snapshots)
    return run.engine.state.sha256(), replayed


def _by_hand(url: str, amount: float) -> None:
    """Somebody buys the perpetual on the account himself."""
    order: dict[str, str | float] = {"instrument_name": "BTC-PERPETUAL", "amount": amount, "type": "market"}
    place = f"{url.replace('ws', 'http', 1)}/api/v2/private/buy"
    assert httpx.get(place, params=order, auth=("alice", SECRET), timeout=30).status_code == 200


@pytest.mark.slow
def test_a_run_that_crashed_goes_on_where_it_was_and_agrees_with_the_account(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_kernels()
    slept_ns = 0

    def with_sleep_ns() -> int:
        return time.monotonic_ns() + slept_ns

    monkeypatch.setattr(feed, "SteadyClock", partial(SteadyClock, with_sleep_ns=with_sleep_ns))
    with served(MARKET, speed=5.0) as (url, api):
        _by_hand(url, 10_000.0)
        run = new_live_run(_request(url), KEY, tmp_path, _unclaimed)
        assert run.venue.maker.standing is Standing.READY
        first_ns = min(event.local_ts_ns for event in run.venue.early)
        assert run.request.from_ns - first_ns >= 2 * NS_PER_SECOND, "the market was heard before the books began"
        assert [(held.instrument, held.lots) for held in run.request.holdings] == [("BTC-PERPETUAL", 1_000)]

        def sleep_and_die() -> None:
            nonlocal slept_ns
            if run.engine.state.events == 40:
                slept_ns = 3_600 * NS_PER_SECOND
            is_kept = (run.directory.path / SNAPSHOT_DIRECTORY).is_dir()
            if run.engine.state.events > 80 and run.venue.maker.reconciliations > 1 and is_kept:
                raise KilledError

        with suppress(KilledError):
            carry_out_live(run, sleep_and_die, snapshot_every_s=0.0)
        said = [entry.text for entry in run.engine.state.recorder.log]
        assert any("the machine slept for 3600 s" in text for text in said), said
        assert run.engine.state.now_ns - run.request.from_ns < NS_PER_HOUR, "the exchange slept with it"
        with pytest.raises(BadInputError, match="trades with another key"):
            resumed_live_run(run.directory.path, Credentials("bob", SECRET), _unclaimed)
        assert request_of(run.directory.path) == run.request
        # Whoever is dead is not there to hear of it.
        _by_hand(url, 20_000.0)
        told = run.engine.state.events
        from_start, replayed = _rebuilt(run.directory.path, told, is_from_start=True)
        assert replayed == told
        rebuilt, replayed = _rebuilt(run.directory.path, told)
        assert replayed < told
        assert rebuilt == from_start == run.engine.state.sha256()
        resumed = resumed_live_run(run.directory.path, KEY, _unclaimed)
        state = resumed.engine.state
        assert told - state.events == replayed

        def stop() -> None:
            if state.events > told + 80:
                resumed.venue.stop()

        finished = carry_out_live(resumed, stop)
        account = api.exchange.accounts["alice"]
    assert finished.summary["ledger"]["balanced"]
    assert dict(state.ledger.open_lots()) == dict(account.ledger.open_lots())
    assert account.orders == {}, "everything was taken away"
    kinds = [entry.kind for entry in state.recorder.log]
    assert "manual" in kinds
    assert "statement" not in kinds, "every statement agreed"
    assert not any(SECRET.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert SECRET not in caplog.text


def test_a_key_that_can_withdraw_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted = Auth.grant

    def grant(self: Auth, account: str, now_ns: int) -> Json:
        told = granted(self, account, now_ns)
        return told | {"scope": f"{told['scope']} wallet:read_write"}

    monkeypatch.setattr(Auth, "grant", grant)
    with served(MARKET) as (url, api):
        with pytest.raises(BadInputError, match="can withdraw") as refused:
            new_live_run(_request(url), KEY, tmp_path, _unclaimed)
        assert not api.exchange.accounts["alice"].history
    assert SECRET not in f"{refused.value}"
    assert not list(tmp_path.iterdir())


def test_a_second_key_of_an_account_that_is_traded_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    keys = (("alice", SECRET), ("more@alice", SECRET), ("bob", SECRET))
    with (
        served(replace(MARKET, clients=keys), speed=5.0) as (url, api),
        claiming(url, "alice", tmp_path / "locks") as first,
        claiming(url, "more", tmp_path / "locks") as second,
        claiming(url, "bob", tmp_path / "locks") as other,
    ):
        assert list(api.exchange.accounts) == ["alice", "bob"]
        run = new_live_run(_request(url, warm_up_s=0.0), KEY, tmp_path / "runs", first)
        with closing(run.venue), run.journal:
            before = dict(api.exchange.accounts["alice"].mmp)
            with pytest.raises(BadInputError, match="is in use by process"):
                new_live_run(_request(url, warm_up_s=0.0), Credentials("more", SECRET), tmp_path / "runs", second)
            assert api.exchange.accounts["alice"].mmp == before
            beside = new_live_run(_request(url, warm_up_s=0.0), Credentials("bob", SECRET), tmp_path / "runs", other)
            with closing(beside.venue), beside.journal:
                assert beside.venue.maker.standing is Standing.READY


@pytest.mark.parametrize(
    ("url", "books"),
    [
        ("wss://www.deribit.com/ws/api/v2", "deribit.com"),
        ("wss://streams.deribit.com/ws/api/v2", "deribit.com"),
        ("wss://test.deribit.com/ws/api/v2", "test.deribit.com"),
        ("ws://localhost:8766/ws/api/v2", "127.0.0.1:8766"),
    ],
)
def test_accounts_of_one_number_are_told_apart_by_whose_number_it_is(url: str, books: str) -> None:
    assert books_of(url) == books


def test_the_venue_is_asked_for_all_of_the_policys_protection() -> None:
    limits = "mmp_quantity_coin = 8.00005\nmmp_delta_coin = 4.5\nmmp_vega_usd = 2000.0\nmmp_window_s = 2.5\n"
    asked = terms_of(_request("ws://127.0.0.1:1", f"{KEEN}\n[protection]\n{limits}"), KEY).maker.protection.sent()
    assert (asked["quantity_limit"], asked["delta_limit"], asked["vega_limit"], asked["interval"]) == (8, 4.5, 2000, 3)
    with pytest.raises(BadInputError, match=r"a delta limit of 1e-05: the venue counts in 0\.0001; raise it"):
        terms_of(_request("ws://127.0.0.1:1", f"{KEEN}\n[protection]\nmmp_delta_coin = 0.00001\n"), KEY)


def test_what_is_listed_after_a_snapshot_has_the_next_row(tmp_path: Path) -> None:
    reference = load_reference()
    listed = [reference.instrument(f"BTC-5JAN26-{strike}-C") for strike in (80_000, 81_000, 82_000)]
    venue = LiveVenue(terms_of(_request("ws://127.0.0.1:1"), KEY), reference, _unclaimed)
    with closing(venue):
        with Spool.create(tmp_path / SPOOL_FILE) as spool:
            venue.keep(spool)
            venue.booked.trade_ids.add("7")
            kept = venue.kept()
        again = LiveVenue(venue.terms, reference, _unclaimed)
        with closing(again):
            again.take_up_from(kept, listed[:2], 5)
            again.list_instrument(2, listed[2])
            assert again.maker.quotes.instruments == listed
            assert again.booked == Booked({"7"})


def test_scopes_that_are_too_much_or_too_little() -> None:
    refuse_scope(["trade:read_write", "account:read_write", "wallet:read"])
    with pytest.raises(BadInputError, match="the line breaks: it needs account:read_write"):
        refuse_scope(["trade:read_write", "account:read"])
    with pytest.raises(BadInputError, match="cannot trade: it needs trade:read_write, and has trade:read"):
        refuse_scope(["trade:read"])


def _file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "key"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_key_comes_from_a_file_of_ones_own_or_the_environment(tmp_path: Path) -> None:
    lines = f"# the test net's\nDERIBIT_API_KEY = alice\nDERIBIT_API_SECRET={SECRET}\n"
    assert live_key({}, _file(tmp_path, lines)) == KEY
    assert live_key({"DERIBIT_API_KEY": "alice", "DERIBIT_API_SECRET": SECRET}, None) == KEY
    assert SECRET not in repr(KEY)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (f"DERIBIT_API_KEY=a\nDERIBIT_API_SECRET={SECRET}\n", 0o640, "others may read it (mode 0640); chmod 600 it"),
        (f"DERIBIT_API_KEY=a\nsecret {SECRET}\n", 0o600, "line 2 is neither"),
        (f"DERIBIT_API_SECRET={SECRET}\n", 0o600, "DERIBIT_API_KEY is not set"),
        ("", 0o600, "no key to trade with"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="modes of files are POSIX's")
def test_a_key_file_that_cannot_be_used_says_why_and_nothing_of_the_key(
    tmp_path: Path, text: str, mode: int, says: str
) -> None:
    with pytest.raises(FlatbookError) as refused:
        live_key({}, _file(tmp_path, text, mode))
    assert says in f"{refused.value}"
    assert SECRET not in f"{refused.value}"


def test_a_live_run_is_not_taken_for_another() -> None:
    with pytest.raises(BadInputError, match="goes on with it"):
        RunRequest.from_json(msgspec.json.encode(_request("ws://127.0.0.1")).decode())


def test_a_policy_that_no_live_run_can_keep() -> None:
    with pytest.raises(ConfigurationError, match="mmp_at_venue is false"):
        check_policy(_request("ws://127.0.0.1", f"{KEEN}\n[protection]\nmmp_at_venue = false\n"))
    with pytest.raises(ConfigurationError, match="answers no requests"):
        check_policy(_request("ws://127.0.0.1", f"{KEEN}\n[rfq]\nanswers = true\n"))


@pytest.mark.parametrize(
    ("difference", "excused"),
    [
        (Difference("BTC", 100_000_000, 100_000_003), True),
        (Difference("BTC", 100_000_000, 100_000_101), False),
        (Difference("BTC-PERPETUAL", 10, 11), False),
    ],
)
def test_what_the_venue_rounds_of_cash_ends_no_run_and_all_else_does(difference: Difference, *, excused: bool) -> None:
    assert is_rounding(difference) is excused


def test_what_ended_a_run_is_told_though_its_report_fails_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class NoJournal(nullcontext[None]):
        header = RunHeader(run_id="r", version="0", config_json="{}", policy_text="", seed=1)

    def fails(error: FlatbookError) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise error

        return fail

    monkeypatch.setattr(live, "conduct", fails(VenueUnreachableError("the line is gone")))
    monkeypatch.setattr(live, "_report", fails(LimitBreachedError("a cent is missing")))
    closed: list[str] = []
    venue = SimpleNamespace(stop=lambda: None, close=lambda: closed.append("venue"))
    live_end = SimpleNamespace(stop=venue.stop, watch=SimpleNamespace(timed=lambda venue: venue))
    run = SimpleNamespace(
        venue=venue, engine=None, journal=NoJournal(), live=live_end, directory=SimpleNamespace(path=tmp_path)
    )
    with pytest.raises(VenueUnreachableError, match="the line is gone"):
        carry_out_live(cast(live.LiveRun, run))
    assert closed == ["venue"]
