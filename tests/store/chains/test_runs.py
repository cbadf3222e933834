"""Passes over a chain are told from a stream of updates by what they hold again."""

import polars as pl

from flatbook.store.chains.runs import with_runs

_SCHEMA = {"pair": pl.String, "ts_ns": pl.Int64, "instrument": pl.String, "run": pl.String}


def _runs(*rows: tuple[int, str], pair: str = "BTC") -> list[str | None] | None:
    frame = pl.DataFrame([(pair, at, name, None) for at, name in rows], schema=_SCHEMA, orient="row")
    found = with_runs(frame)
    return None if found is None else found["run"].to_list()


def _same(runs: list[str | None] | None, *expected: int) -> bool:
    """Whether rows share a run as the numbers say."""
    assert runs is not None
    return [runs.index(run) for run in runs] == [expected.index(number) for number in expected]


def test_no_instrument_twice_is_one_run() -> None:
    assert _same(_runs((1, "A"), (700, "B"), (3, "C")), 0, 0, 0)


def test_equal_times_are_runs() -> None:
    assert _same(_runs((1, "A"), (1, "B"), (2, "A"), (2, "B"), (2, "C"), (3, "B"), (3, "C")), 0, 0, 1, 1, 1, 2, 2)


def test_rows_one_by_one_are_runs_where_the_chain_comes_again() -> None:
    assert _same(_runs((1, "A"), (2, "B"), (3, "C"), (4, "A"), (5, "B"), (6, "C")), 0, 0, 0, 1, 1, 1)


def test_a_lone_repeat_is_no_second_run() -> None:
    assert _runs((1, "A"), (2, "B"), (3, "C"), (4, "D"), (5, "A"), (6, "E"), (7, "F")) is None


def test_a_stream_of_updates_has_no_runs() -> None:
    names = "ABCDEFGHBAHGDDACBEFAHC"
    assert _runs(*enumerate(names)) is None


def test_each_underlying_is_asked_alone() -> None:
    rows = [("BTC", 1, "A"), ("BTC", 1, "B"), ("ETH", 2, "X"), ("BTC", 3, "A"), ("BTC", 3, "B"), ("ETH", 4, "X")]
    found = with_runs(pl.DataFrame([(*row, None) for row in rows], schema=_SCHEMA, orient="row"))
    assert found is not None
    keys = list(zip(found["pair"], found["run"], strict=True))
    assert [keys.index(key) for key in keys] == [0, 0, 2, 3, 3, 5]


def test_named_runs_stay_and_rows_without_a_time_have_none() -> None:
    named = pl.DataFrame([("BTC", 1, "A", "x"), ("BTC", 1, "A", None)], schema=_SCHEMA, orient="row")
    assert with_runs(named) is named
    timeless = pl.DataFrame([("BTC", 1, "A", None), ("BTC", None, "B", None)], schema=_SCHEMA, orient="row")
    found = with_runs(timeless)
    assert found is not None
    assert found["run"].is_null().to_list() == [False, True]
