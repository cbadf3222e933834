import math

import msgspec
import pytest

from flatbook.domain.errors import BadInputError, FlatbookError, UnknownInstrumentError
from flatbook.domain.events import DailySettlement, Delivery, Fill, FundingRate, Payoff
from flatbook.ledger import AccountKind, Cause, Entry, Ledger, VenueFee

from .blotter import REFERENCE, STRATEGIES, Blotter, fill

SCENARIOS = {
    "a premium and its fee leave cash": """
        fill      BTC-27SEP24-60000-C buy 10 @ 0.0525 fee 0.003
        position  BTC-27SEP24-60000-C +10 cost 0.525 realised 0 fees 0.003
        balance   BTC -0.528
        total     BTC cash -0.528 premium -0.525 fees 0.003 capital 0
    """,
    "a rebate is a negative fee": """
        deposit   BTC 1
        fill      BTC-28MAR25 sell 10000 @ 80000 fee -0.0000125
        position  BTC-28MAR25 -10000 fees -0.0000125
        total     BTC fees -0.0000125
        balance   BTC 1.0000125
    """,
    "an option's P&L in coin is linear in its price, whatever the index": """
        fill      BTC-28MAR25-80000-C buy 10 @ 0.05
        fill      BTC-28MAR25-80000-C sell 10 @ 0.06
        position  BTC-28MAR25-80000-C 0 cost 0 realised 0.1
        balance   BTC 0.1
    """,
    "a partial close takes its share of the average cost": """
        fill      BTC-28MAR25-80000-C buy 1 @ 0.01
        fill      BTC-28MAR25-80000-C buy 3 @ 0.03
        position  BTC-28MAR25-80000-C 4 cost 0.1 realised 0
        fill      BTC-28MAR25-80000-C sell 2 @ 0.04
        position  BTC-28MAR25-80000-C 2 cost 0.05 realised 0.03
        fill      BTC-28MAR25-80000-C sell 2 @ 0.02
        position  BTC-28MAR25-80000-C 0 cost 0 realised 0.02
        total     BTC premium 0.02
    """,
    "a share of cost that does not divide is rounded up, and the last close takes what is left": """
        fill      BTC_USDC-PERPETUAL buy 0.001 @ 80000
        fill      BTC_USDC-PERPETUAL buy 0.002 @ 80001
        position  BTC_USDC-PERPETUAL 0.003 cost 240.002
        fill      BTC_USDC-PERPETUAL sell 0.001 @ 80000
        position  BTC_USDC-PERPETUAL 0.002 cost 160.001333 realised -0.000667
        fill      BTC_USDC-PERPETUAL sell 0.001 @ 80000
        position  BTC_USDC-PERPETUAL 0.001 cost 80.000666 realised -0.001334
        fill      BTC_USDC-PERPETUAL sell 0.001 @ 80000
        position  BTC_USDC-PERPETUAL 0 cost 0 realised -0.002
        balance   USDC -0.002
    """,
    "a trade through zero closes all there was and opens the rest": """
        fill      BTC-28MAR25-80000-C buy 1 @ 0.05
        fill      BTC-28MAR25-80000-C sell 3 @ 0.06
        position  BTC-28MAR25-80000-C -2 cost -0.12 realised 0.01
        fill      BTC-28MAR25-80000-C buy 5 @ 0.055
        position  BTC-28MAR25-80000-C 3 cost 0.165 realised 0.02
        balance   BTC -0.145
    """,
    "an inverse perpetual pays n over entry less n over exit, and only when closed": """
        fill      BTC-PERPETUAL buy 10000 @ 50000
        position  BTC-PERPETUAL 10000 cost -0.2 realised 0
        balance   BTC 0
        fill      BTC-PERPETUAL sell 10000 @ 60000 fee 0.00008334
        position  BTC-PERPETUAL 0 cost 0 realised 0.03333333
        balance   BTC 0.03324999
        total     BTC variation 0.03333333 premium 0 fees 0.00008334
    """,
    "a short inverse perpetual loses n over exit less n over entry": """
        fill      BTC-PERPETUAL sell 10000 @ 50000
        fill      BTC-PERPETUAL buy 10000 @ 40000
        fill      ETH-PERPETUAL sell 3000 @ 1500
        fill      ETH-PERPETUAL buy 3000 @ 1200
        balance   BTC 0.05
        balance   ETH 0.5
    """,
    "an inverse perpetual through zero": """
        fill      BTC-PERPETUAL buy 10000 @ 50000
        fill      BTC-PERPETUAL sell 30000 @ 60000
        position  BTC-PERPETUAL -20000 cost 0.33333333 realised 0.03333333
        fill      BTC-PERPETUAL buy 20000 @ 80000
        position  BTC-PERPETUAL 0 cost 0 realised -0.05
    """,
    "a linear perpetual pays size times the move": """
        fill      BTC_USDC-PERPETUAL sell 0.5 @ 82000 fee 20.5
        fill      BTC_USDC-PERPETUAL buy 0.2 @ 81000
        position  BTC_USDC-PERPETUAL -0.3 cost -24600 realised 200
        balance   USDC 179.5
    """,
    "a fill is booked once": """
        fill      BTC-28MAR25-80000-C buy 10 @ 0.05 fee 0.003 id 357234172
        fill      BTC-28MAR25-80000-C buy 10 @ 0.05 fee 0.003 id 357234172
        fill      BTC-28MAR25-80000-C buy 10 @ 0.05 fee 0.003 id 357234172 by hedge
        position  BTC-28MAR25-80000-C 10
        balance   BTC -0.503
        fill      BTC-28MAR25-80000-C buy 10 @ 0.05 fee 0.003 id 357234172 at testnet
        net       BTC-28MAR25-80000-C 20
    """,
    "positions are kept by venue and strategy and netted across": """
        fill      BTC-PERPETUAL buy 10000 @ 50000 by maker
        fill      BTC-PERPETUAL sell 4000 @ 50000 by hedge
        fill      BTC-PERPETUAL sell 7000 @ 50000 by hedge at testnet
        position  BTC-PERPETUAL 10000 by maker
        position  BTC-PERPETUAL -4000 by hedge
        position  BTC-PERPETUAL -7000 by hedge at testnet
        net       BTC-PERPETUAL -1000
    """,
    "funding on ten coins for an hour at 0.025 % in eight": """
        fill      BTC-PERPETUAL buy 600300 @ 60000
        funding   BTC-PERPETUAL 0.00003125 @ 60030
        position  BTC-PERPETUAL 600300 funding -0.0003125
        total     BTC funding -0.0003125
        funding   BTC-PERPETUAL -0.00003125 @ 60030
        balance   BTC 0
    """,
    "shorts receive positive funding, in the settlement currency": """
        fill      BTC_USDC-PERPETUAL sell 0.5 @ 82000
        funding   BTC_USDC-PERPETUAL 0.0001 @ 80000
        balance   USDC 4
    """,
    "funding comes once for each event time, and never from before": """
        fill      BTC_USDC-PERPETUAL sell 0.5 @ 82000
        funding   BTC_USDC-PERPETUAL 0.0001 @ 80000 id 1000
        funding   BTC_USDC-PERPETUAL 0.0001 @ 80000 id 1000
        funding   BTC_USDC-PERPETUAL 0.0001 @ 80000 id 999
        balance   USDC 4
        funding   BTC_USDC-PERPETUAL 0.0001 @ 80000 id 1001
        balance   USDC 8
    """,
    "what strategies pay and receive sums to what the venue's net position does": """
        fill      BTC-PERPETUAL buy 10000 @ 50000 by maker
        fill      BTC-PERPETUAL sell 10000 @ 50000 by hedge
        funding   BTC-PERPETUAL 0.0001 @ 70000
        position  BTC-PERPETUAL 10000 funding -0.00001428 by maker
        position  BTC-PERPETUAL -10000 funding 0.00001428 by hedge
        balance   BTC 0
        settle    BTC-PERPETUAL @ 70000
        balance   BTC 0
    """,
    "daily settlement turns open P&L into cash and starts from a new basis": """
        fill      BTC-PERPETUAL buy 10000 @ 50000
        settle    BTC-PERPETUAL @ 62500
        position  BTC-PERPETUAL 10000 cost -0.16 realised 0.04
        balance   BTC 0.04
        total     BTC settlement 0.04 variation 0
        settle    BTC-PERPETUAL @ 62500
        balance   BTC 0.04
        fill      BTC-PERPETUAL sell 10000 @ 50000
        balance   BTC 0
        total     BTC settlement 0.04 variation -0.04
    """,
    "a settlement price need not be on the tick": """
        fill      BTC_USDC-PERPETUAL buy 0.001 @ 80000
        settle    BTC_USDC-PERPETUAL @ 80000.1234567
        position  BTC_USDC-PERPETUAL 0.001 cost 80.000123 realised 0.000123
        fill      ETH-28MAR25 sell 100 @ 2000
        settle    ETH-28MAR25 @ 1999.99
        total     ETH settlement 0.00000025
    """,
    "an expiry of many legs leaves no position and exact cash": """
        deposit   BTC 1
        deposit   USDC 1000
        fill      BTC-28MAR25-80000-C buy 5 @ 0.09 fee 0.0015
        fill      BTC-28MAR25-90000-C sell 5 @ 0.02 fee 0.0015
        fill      BTC-28MAR25-95000-P sell 3 @ 0.08 fee 0.0009
        fill      BTC-28MAR25-85000-P buy 2 @ 0.01 fee 0.0006
        fill      BTC-28MAR25-87100-C sell 2 @ 0.005 fee 0.0006
        fill      BTC-28MAR25 buy 50000 @ 86500
        fill      BTC_USDC-28MAR25-85000-C buy 0.4 @ 1500 fee 10
        fill      BTC-25APR25-80000-C buy 1 @ 0.1
        fill      ETH-28MAR25-2000-C buy 1 @ 0.1
        balance   BTC 0.7749
        balance   USDC 390
        deliver   BTC 28MAR25 @ 87123.45
        position  BTC-28MAR25-80000-C 0 cost 0 realised -0.04118642 fees 0.00225
        position  BTC-28MAR25-90000-C 0 cost 0 realised 0.1 fees 0.0015
        position  BTC-28MAR25-95000-P 0 cost 0 realised -0.03122033 fees 0.00135
        position  BTC-28MAR25-85000-P 0 cost 0 realised -0.02 fees 0.0006
        position  BTC-28MAR25-87100-C 0 cost 0 realised 0.00946168 fees 0.00066729
        position  BTC-28MAR25 0 cost 0 realised 0.00413637 fees 0.00014348
        position  BTC_USDC-28MAR25-85000-C 0 cost 0 realised 249.38 fees 15.227407
        position  BTC-25APR25-80000-C 1
        position  ETH-28MAR25-2000-C 1
        balance   BTC 0.91468053
        balance   USDC 1234.152593
        total     BTC delivery 0.1411913 fees 0.00651077 premium -0.22
    """,
    "both legs of a vertical settle on the one price": """
        fill      BTC-28MAR25-80000-C buy 10 @ 0.09
        fill      BTC-28MAR25-84000-C sell 10 @ 0.05
        deliver   BTC 28MAR25 @ 100000
        total     BTC delivery 0.4 fees 0.003
    """,
    "an option that ends worthless pays no delivery fee": """
        fill      BTC-28MAR25-80000-P sell 10 @ 0.01
        deliver   BTC 28MAR25 @ 80000
        position  BTC-28MAR25-80000-P 0 realised 0.1 fees 0
        balance   BTC 0.1
    """,
    "strategies that are flat together deliver for nothing": """
        fill      BTC-28MAR25-80000-C buy 10 @ 0.05 by maker
        fill      BTC-28MAR25-80000-C sell 10 @ 0.05 by hedge
        deliver   BTC 28MAR25 @ 87123.45
        position  BTC-28MAR25-80000-C 0 realised 0.31762718 fees 0 by maker
        position  BTC-28MAR25-80000-C 0 realised -0.31762718 fees 0 by hedge
        balance   BTC 0
    """,
    "the delivery fee on the net is shared by size": """
        fill      BTC-28MAR25-80000-C buy 3 @ 0.05 by maker
        fill      BTC-28MAR25-80000-C sell 1 @ 0.05 by hedge
        deliver   BTC 28MAR25 @ 87123.45
        position  BTC-28MAR25-80000-C 0 fees 0.000225 by maker
        position  BTC-28MAR25-80000-C 0 fees 0.000075 by hedge
        total     BTC fees 0.0003
    """,
    "a delivery twice is a delivery once, and takes in a fill that came late": """
        fill      BTC-28MAR25-80000-C buy 10 @ 0.09
        deliver   BTC 28MAR25 @ 100000
        deliver   BTC 28MAR25 @ 100000
        balance   BTC 1.0985
        fill      BTC-28MAR25-90000-C sell 1 @ 0.02
        deliver   BTC 28MAR25 @ 100000
        net       BTC-28MAR25-90000-C 0
        balance   BTC 1.01835
    """,
    "a venue delivers what it holds": """
        fill      BTC-28MAR25-80000-C buy 10 @ 0.09
        fill      BTC-28MAR25-80000-C sell 10 @ 0.09 at testnet
        deliver   BTC 28MAR25 @ 100000
        net       BTC-28MAR25-80000-C -10
        balance   BTC 0.9 at testnet
    """,
    "spot exchanges cash for cash and leaves no position": """
        deposit   USDC 100000
        fill      BTC_USDC buy 0.5 @ 82000 fee 1.25
        balance   BTC 0.5
        balance   USDC 58998.75
        fill      BTC_USDC sell 0.2 @ 83000
        balance   BTC 0.3
        balance   USDC 75598.75
        total     BTC exchange 0.3
        total     USDC exchange -24400 fees 1.25
        net       BTC_USDC 0
    """,
    "a contract over the counter pays once, exactly, and is gone": """
        fill      barrier-7 buy 2.5 @ 0.012345
        fill      asian-8 sell 0.75 @ 1234.5678
        position  barrier-7 2.5 cost 0.0308625
        balance   USDC 925.92585
        pay       barrier-7 0.04
        position  barrier-7 0 cost 0 realised 0.0691375
        pay       barrier-7 0.04
        balance   BTC 0.0691375
        pay       asian-8 1000.000001
        position  asian-8 0 realised 175.925849
        total     BTC premium -0.0308625 delivery 0.1 fees 0
    """,
    "a knock-out without a rebate leaves the premium where it went": """
        fill      barrier-7 buy 1 @ 0.01
        pay       barrier-7 0
        position  barrier-7 0 cost 0 realised -0.01
        balance   BTC -0.01
    """,
    "strategies share the payoff of their net, which is rounded down": """
        fill      barrier-7 buy 0.02 @ 0.01 by maker
        fill      barrier-7 sell 0.01 @ 0.01 by hedge
        pay       barrier-7 0.0000005
        position  barrier-7 0 realised 0.00009999 by hedge
        position  barrier-7 0 realised -0.00019999 by maker
        balance   BTC -0.0001
    """,
    "a listed expiry delivers nothing that was dealt over the counter": """
        fill      barrier-7 buy 1 @ 0.01
        deliver   BTC 28MAR25 @ 100000
        net       barrier-7 1
    """,
    "capital comes and goes": """
        deposit   BTC 2
        deposit   BTC 1 at testnet
        deposit   BTC -0.5
        balance   BTC 1.5
        balance   BTC 1 at testnet
        total     BTC cash 2.5 capital 2.5
    """,
}


@pytest.mark.parametrize("text", SCENARIOS.values(), ids=SCENARIOS)
def test_blotter(text: str) -> None:
    Blotter().run(text)


def test_an_entry_says_why_each_amount_moved() -> None:
    blotter = Blotter()
    blotter.run("fill BTC-27SEP24-60000-C buy 1 @ 0.0525 fee 0.0003 id 357234172")
    (entry,) = blotter.entries
    assert (entry.cause, entry.reference, entry.exch_ts_ns) == (Cause.TRADE, "357234172", 1)
    assert [(str(posting.account), posting.commodity, posting.units) for posting in entry.postings] == [
        ("position:deribit:maker", "BTC-27SEP24-60000-C", 10),
        ("market:deribit:maker", "BTC-27SEP24-60000-C", -10),
        ("cash:deribit", "BTC", -5_250_000),
        ("premium:deribit:maker", "BTC", 5_250_000),
        ("cash:deribit", "BTC", -30_000),
        ("fees:deribit:maker", "BTC", 30_000),
    ]


def test_entries_are_the_whole_truth_about_balances() -> None:
    """Postings summed over all entries give every balance and position, so a journal of entries is the ledger."""
    blotter = Blotter()
    sums: dict[tuple[AccountKind, str, str], int] = {}
    for line in SCENARIOS["an expiry of many legs leaves no position and exact cash"].splitlines():
        if line.split() and line.split()[0] in ("deposit", "fill", "deliver"):
            blotter.run(line)
            stored = msgspec.json.decode(msgspec.json.encode(blotter.entries), type=tuple[Entry, ...])
            assert stored == blotter.entries
            for posting in (posting for entry in stored for posting in entry.postings):
                key = (posting.account.kind, posting.account.venue, posting.commodity)
                sums[key] = sums.get(key, 0) + posting.units
    ledger = blotter.ledger
    assert {key[2]: units for key, units in sums.items() if key[0] is AccountKind.CASH} == ledger.balances()
    lots = {key[2]: units for key, units in sums.items() if key[0] is AccountKind.POSITION and units}
    assert lots == dict(ledger.open_lots()) == {"BTC-25APR25-80000-C": 10, "ETH-28MAR25-2000-C": 1}


def test_an_event_that_moves_nothing_writes_nothing() -> None:
    blotter = Blotter()
    blotter.run("funding BTC-PERPETUAL 0.0001 @ 60000")
    assert blotter.entries == ()
    blotter.run("settle BTC-PERPETUAL @ 60000")
    assert blotter.entries == ()
    blotter.run("deliver BTC 28MAR25 @ 60000")
    assert blotter.entries == ()


def test_carried_and_basis_are_the_exact_part_of_profit() -> None:
    """1 BTC in, 0.05 premium paid, a perpetual short from 50,000: P&L is carried plus the value of what is open."""
    ledger = Blotter().run("""
        deposit  BTC 1
        fill     BTC-28MAR25-80000-C buy 1 @ 0.05 fee 0.0003
        fill     BTC-PERPETUAL sell 10000 @ 50000
    """)
    assert ledger.open_basis_units("BTC") == 20_000_000
    assert ledger.carried_units("BTC") == -5_000_000 - 30_000 - 20_000_000
    option_at_006, short_at_40000 = 6_000_000, 25_000_000
    assert ledger.carried_units("BTC") + option_at_006 + short_at_40000 == 1_000_000 - 30_000 + 5_000_000


def test_views_are_read_only() -> None:
    ledger = Blotter().run("fill BTC-28MAR25-80000-C buy 1 @ 0.05")
    for view in (ledger.positions(), ledger.open_lots()):
        with pytest.raises(TypeError):
            view["x"] = None  # type: ignore[index]


FILL = fill("fill BTC-28MAR25-80000-C buy 1 @ 0.05 id 7")
CLOCKS = {"exch_ts_ns": 1, "local_ts_ns": 1}


@pytest.mark.parametrize(
    ("changed", "strategy", "message"),
    [
        ({}, "scalper", "trade 7: strategy 'scalper' is not one of hedge, maker"),
        ({"side": 0}, "maker", "trade 7: side is 0"),
        ({"side": 2}, "maker", "trade 7: side is 2"),
        ({"size_lots": 0}, "maker", "trade 7: size is 0 lots"),
        ({"size_lots": -10}, "maker", "trade 7: size is -10 lots"),
        ({"instrument": "BTC-PERPETUAL", "price_ticks": 0}, "maker", "BTC-PERPETUAL: .* no value at 0 ticks"),
    ],
)
def test_a_fill_that_cannot_be_is_refused_and_may_come_again(
    changed: dict[str, object], strategy: str, message: str
) -> None:
    ledger = Ledger(REFERENCE, STRATEGIES)
    blank = ledger.digest_bytes()
    with pytest.raises(BadInputError, match=message):
        ledger.book_fill(msgspec.structs.replace(FILL, **changed), strategy)
    assert ledger.digest_bytes() == blank
    assert ledger.book_fill(FILL, "maker") is not None


def test_a_fill_of_an_unknown_instrument_is_refused() -> None:
    with pytest.raises(UnknownInstrumentError):
        Ledger(REFERENCE, STRATEGIES).book_fill(msgspec.structs.replace(FILL, instrument="BTC-CS-28MAR25-1_2"), "maker")


@pytest.mark.parametrize("price_usd", [0.0, -1.0, math.nan, math.inf])
def test_no_leg_moves_on_a_price_that_is_none(price_usd: float) -> None:
    ledger = Blotter().run("""
        fill  BTC-28MAR25-80000-C buy 1 @ 0.05
        fill  BTC-28MAR25-90000-C sell 1 @ 0.02
        fill  BTC-PERPETUAL buy 1000 @ 80000
    """)
    before = ledger.digest_bytes()
    expiry_ns = REFERENCE.instrument("BTC-28MAR25").contract.expiry_ns or 0
    with pytest.raises(BadInputError, match="BTC-28MAR25: delivery price is"):
        ledger.book_delivery(Delivery(**CLOCKS, underlying="BTC", expiry_ns=expiry_ns, price_usd=price_usd), "deribit")
    with pytest.raises(BadInputError, match="BTC-PERPETUAL: settlement price is"):
        ledger.book_daily_settlement(
            DailySettlement(**CLOCKS, instrument="BTC-PERPETUAL", price_usd=price_usd), "deribit"
        )
    with pytest.raises(BadInputError, match="BTC-PERPETUAL: price at funding is"):
        ledger.book_funding(FundingRate(**CLOCKS, instrument="BTC-PERPETUAL", rate=0.1, hours=8), "deribit", price_usd)
    assert ledger.digest_bytes() == before


def test_funding_and_settlement_belong_to_their_kinds() -> None:
    ledger = Ledger(REFERENCE, STRATEGIES)
    with pytest.raises(BadInputError, match="BTC-28MAR25: funding belongs to a perpetual, this is a future"):
        ledger.book_funding(FundingRate(**CLOCKS, instrument="BTC-28MAR25", rate=0.1, hours=8), "deribit", 80_000.0)
    with pytest.raises(BadInputError, match="daily settlement belongs to a perpetual or future, this is a option"):
        ledger.book_daily_settlement(
            DailySettlement(**CLOCKS, instrument="BTC-28MAR25-80000-C", price_usd=80_000.0), "deribit"
        )
    with pytest.raises(BadInputError, match="BTC-28MAR25: a payoff belongs to a otc, this is a future"):
        ledger.book_payoff(Payoff(**CLOCKS, instrument="BTC-28MAR25", amount=1.0), "deribit")
    with pytest.raises(BadInputError, match="barrier-7: payoff is nan; it needs a finite number"):
        ledger.book_payoff(Payoff(**CLOCKS, instrument="barrier-7", amount=math.nan), "deribit")
    no_rate = FundingRate(**CLOCKS, instrument="BTC-PERPETUAL", rate=math.nan, hours=8)
    with pytest.raises(BadInputError, match="BTC-PERPETUAL: funding rate is nan"):
        ledger.book_funding(no_rate, "deribit", 80_000.0)


def test_capital_in_an_unknown_currency_is_refused() -> None:
    with pytest.raises(FlatbookError, match="'DOGE' is not known"):
        Ledger(REFERENCE, STRATEGIES).deposit("deribit", "DOGE", 1, 0)


def test_a_million_fills_would_be_kept_as_ids_only() -> None:
    """What the ledger holds grows with instruments and trade ids, never with entries."""
    ledger = Ledger(REFERENCE, STRATEGIES)
    for number in range(200):
        ledger.book_fill(msgspec.structs.replace(FILL, trade_id=str(number), side=1 - number % 2 * 2), "maker")
    assert not _reachable(ledger, Entry)
    assert not _reachable(ledger, Fill)
    assert len(ledger.positions()) == 1
    ledger.invariant()


def test_a_fee_in_another_currency_is_booked_once() -> None:
    ledger = Ledger(REFERENCE, STRATEGIES)
    fee = VenueFee(venue="okx", trade_id="7", currency="USDC", units=1_250_000, exch_ts_ns=1)
    assert ledger.book_fee(fee, STRATEGIES[0]) is not None
    assert ledger.book_fee(fee, STRATEGIES[0]) is None
    assert (ledger.balance("okx", "USDC"), ledger.totals("USDC").fees_paid_units) == (-1_250_000, 1_250_000)
    ledger.invariant()
    with pytest.raises(BadInputError, match="BNB"):
        ledger.book_fee(msgspec.structs.replace(fee, currency="BNB"), STRATEGIES[0])


def _reachable(root: object, kind: type) -> bool:
    seen, todo = set(), [root]
    while todo:
        item = todo.pop()
        if isinstance(item, kind):
            return True
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            todo += [*item, *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            todo += item
        else:
            todo += list(getattr(item, "__dict__", {}).values())
    return False
