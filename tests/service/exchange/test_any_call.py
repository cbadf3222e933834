"""Whatever is asked, however wrongly, is answered; and time goes on after it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flatbook.service.exchange.api import METHODS
from tests.service.exchange.desk import CALL, PERPETUAL, SPOT, Caller, Desk

VALUES: dict[str, list[Any]] = {
    "instrument_name": [PERPETUAL, CALL, SPOT, "BTC-1JAN30", 7],
    "currency": ["BTC", "USDC", "any", "XYZ"],
    "kind": ["option", "future", "any", "bond"],
    "index_name": ["btc_usd", "eth_usd", "btc"],
    "amount": [10, 0.1, 1, 0, -1, 1e12, "10", None],
    "price": [80_000, 0.05, 0, -1, 1e300, 0.3],
    "type": ["limit", "market", "market_limit", "stop"],
    "time_in_force": ["good_til_cancelled", "fill_or_kill", "immediate_or_cancel", "never"],
    "order_id": ["1", "2", "x", "USDC-3", 1],
    "label": ["a", "b" * 65],
    "direction": ["buy", "sell"],
    "post_only": [True, False, "yes"],
    "reduce_only": [True, False],
    "mmp": [True],
    "count": [0, 1, 10**9],
    "depth": [0, 1, 10**9],
    "interval": [0, 5, 10],
    "frozen_time": [0, 1],
    "quantity_limit": [1.0],
    "resolution": ["1", "0", "1D", 60],
    "start_timestamp": [0, 1_767_600_000_000],
    "end_timestamp": [0, 2_000_000_000_000],
    "mmp_group": ["", "g"],
    "cancel_type": ["all", "instrument", "quote_set_id"],
    "block_rfq_id": [1, 2],
    "legs": [[], [3], [{"instrument_name": CALL, "direction": "buy", "ratio": 1, "price": 0.05}]],
    "quotes": [[{"instrument_name": CALL, "bid": {"price": 0.04, "amount": 1}}], [None], "x"],
    "channels": [
        [f"book.{PERPETUAL}.raw", f"book.{CALL}.0.10.100ms", "user.portfolio.XYZ", "user.portfolio.any"],
        [f"chart.trades.{PERPETUAL}.1", "user.changes.any.any.100ms", "trades.any.any.agg2", 5],
    ],
    "grant_type": ["client_credentials", "refresh_token", "client_signature"],
    "mode": ["cancel_maker"],
}

calls = st.lists(
    st.tuples(
        st.sampled_from(sorted(set(METHODS) - {"private/logout"})),
        st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}),
    ),
    max_size=25,
)


@given(calls)
def test_any_call_is_answered_and_time_goes_on(script: list[tuple[str, dict[str, Any]]]) -> None:
    desk = Desk()
    desk.quote(PERPETUAL, 159_990, 160_010, 100)
    desk.quote(CALL, 490, 510, 100)
    alice, bob = Caller(desk, "alice"), Caller(desk, "bob")
    for number, (method, params) in enumerate(script):
        answer = (alice if number % 2 else bob).answer(method, **params)
        assert ("result" in answer) != ("error" in answer)
        desk.pass_time(0.3)
    desk.api.cycle.tick("BTC", 80_100.0)
    desk.pass_time(1.5)
    for account in desk.exchange.accounts.values():
        account.ledger.invariant()
