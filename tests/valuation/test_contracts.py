"""What a row of cells may say, and what is answered to one that cannot be used."""

import dataclasses
import math

import pytest

from flatbook.domain.errors import BadInputError
from flatbook.valuation.contracts import (
    COLUMNS,
    AsianTerms,
    Barrier,
    Cell,
    DigitalTerms,
    Style,
    TouchTerms,
    parse_contract,
    parse_price,
)

Cells = dict[str, Cell]

MARKET: Cells = {"strike": "100", "years": "0.5", "vol": "0.3", "rate": "0.05", "carry": "0.02", "spot": "95"}
PAIR: Cells = {"spot2": "90", "vol2": "0.4", "carry2": "0.01", "correlation": "0.5"}
ASIAN: Cells = {"style": "asian", "right": "call", "average": "arithmetic", "fixings": "12"}
TOUCH: Cells = {"style": "touch", "payoff": "cash", "cash": "10", "barrier": "80", "barrier_kind": "down_in"}


def test_a_row_is_read_once_and_frozen() -> None:
    contract = parse_contract(
        MARKET | {"style": " Barrier ", "right": "PUT", "barrier": "80", "barrier_kind": "down_in"}
    )
    assert contract.style is Style.BARRIER
    assert (contract.sign, contract.strike, contract.years, contract.rate) == (-1, 100.0, 0.5, 0.05)
    assert contract.terms == Barrier(80.0, is_down=True, is_in=True, rebate=0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        contract.strike = 90.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("cells", "answer"),
    [
        (
            {"style": "european", "right": "call", "vol": "-0.3"},
            "vol: -0.3 is negative; give a vol as a decimal per year",
        ),
        ({"style": "european", "right": "call", "vol": ""}, "vol: missing; give a vol as a decimal per year"),
        ({"style": "european", "right": "call", "vol": "30%"}, "vol: '30%' is not a number; give a vol as a"),
        ({"style": "european", "right": "call", "years": "nan"}, "years: nan is not finite; give the time to expiry"),
        ({"style": "european", "right": "call", "strike": "1_000"}, "strike: '1_000' is not a number"),
        ({"style": "european", "right": "call", "strike": "0"}, "strike: 0 is not above 0"),
        ({"style": "european", "right": "call", "spot": ""}, "spot: missing, and forward too; give a price above 0 in"),
        ({"style": "european", "right": "call", "forward": "96"}, "spot: 95 is given beside a forward of 96"),
        ({"style": "european", "right": "both"}, "right: 'both' is not known; use call or put"),
        ({"style": "european"}, "right: missing; use call or put"),
        ({"style": "european", "right": "call", "method": "tree"}, "method: 'tree' is not known for this style (none)"),
        ({"style": "american", "right": "call", "years": "0"}, "years: 0 is not above 0"),
        ({"style": "american", "right": "call", "method": "tree"}, "style (qdfp, barone_adesi_whaley, bjerksund_"),
        ({"style": ""}, "style: missing; use one of european, inverse"),
        ({"style": "bermudan"}, "style: 'bermudan' is not known; use one of european, inverse"),
        ({"style": "barrier", "right": "call", "barrier": "90"}, "barrier_kind: missing; use one of down_in, down_out"),
        ({"style": "digital", "right": "call", "payoff": "cash"}, "cash: missing; give the amount paid"),
        (TOUCH, "pay_at: missing; use hit or expiry"),
        (
            TOUCH | {"barrier_kind": "up_out", "pay_at": "hit"},
            "pay_at: 'hit' never comes for a barrier that knocks out",
        ),
        (ASIAN | {"fixings": "2.5"}, "fixings: 2.5 is not whole"),
        (ASIAN | {"elapsed_years": "0.1"}, "average_so_far: missing"),
        (ASIAN | {"first_fixing_years": "0.7"}, "first_fixing_years: 0.7 is after expiry in 0.5"),
        (
            ASIAN | {"elapsed_years": "1", "first_fixing_years": "0.1"},
            "elapsed_years: 1 is given beside a first_fixing",
        ),
        ({"style": "lookback", "right": "call", "extreme_so_far": "96"}, "extreme_so_far: 96 is above the spot of 95"),
        ({"style": "lookback", "right": "put", "extreme_so_far": "94"}, "extreme_so_far: 94 is below the spot of 95"),
        (PAIR | {"style": "exchange", "correlation": "1.2"}, "correlation: 1.2 is beyond 1; give the correlation"),
        (PAIR | {"style": "exchange", "spot2": ""}, "spot2: missing, and forward2 too"),
        (PAIR | {"style": "exchange", "carry2": ""}, "carry2: missing"),
        (PAIR | {"style": "min_max", "right": "call"}, "extremum: missing; use min or max"),
        ({"style": "perpetual"}, "funding_kappa: missing; give the funding strength"),
        (
            {"style": "perpetual", "funding_kappa": "1", "funding_iota": "2"},
            "funding_iota: 2 is not below a funding_kappa",
        ),
        ({"style": "perpetual", "funding_kappa": "1", "spot": "", "forward": "9"}, "a forward needs an expiry"),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_the_remedy(cells: Cells, answer: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_contract(MARKET | cells)
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_black_has_an_answer_without_time_or_vol() -> None:
    for style in ("european", "inverse"):
        contract = parse_contract(MARKET | {"style": style, "right": "call", "years": "0", "vol": "0"})
        assert (contract.years, contract.asset.vol) == (0.0, 0.0)
    with pytest.raises(BadInputError, match="vol: 0 is not above 0"):
        parse_contract(MARKET | {"style": "american", "right": "call", "vol": "0"})


def test_a_forward_gives_the_spot_a_path_starts_from() -> None:
    """A payoff at expiry keeps the forward itself; a path needs the spot under it."""
    by_forward: Cells = MARKET | {"spot": "", "forward": "96", "right": "call"}
    digital = parse_contract(by_forward | {"style": "digital", "payoff": "asset"}).asset
    american = parse_contract(by_forward | {"style": "american"}).asset
    exchange = parse_contract(by_forward | {"style": "exchange", "forward2": "90", "vol2": "0.4", "correlation": "0"})
    assert american.spot == pytest.approx(96.0 * math.exp(-0.01))
    assert american.carry == 0.02
    assert digital.spot == pytest.approx(96.0 * math.exp(-0.01))
    assert (exchange.asset.spot, exchange.asset.carry, exchange.asset.is_forward) == (96.0, 0.0, True)


def test_a_touch_with_a_right_and_a_strike_must_end_in_the_money_too() -> None:
    conditional = parse_contract(MARKET | TOUCH | {"right": "call", "pay_at": "expiry"})
    assert conditional.style is Style.DIGITAL
    assert conditional.terms == DigitalTerms(False, 10.0, Barrier(80.0, is_down=True, is_in=True, rebate=0.0))
    for cells in ({"right": "call", "pay_at": "hit"}, {"pay_at": "expiry"}):
        contract = parse_contract(MARKET | TOUCH | cells)
        assert isinstance(contract.terms, TouchTerms)
        assert contract.sign == 0


def test_empty_cells_take_their_defaults() -> None:
    terms = parse_contract(MARKET | ASIAN | {"first_fixing_years": None, "elapsed_years": " "}).terms
    assert isinstance(terms, AsianTerms)
    assert (terms.first_fixing_years, terms.elapsed_years) == (None, 0.0)
    assert parse_contract(MARKET | PAIR | {"style": "exchange"}).sign == 1


def test_an_implied_row_reads_price_and_no_vol() -> None:
    cells: Cells = MARKET | {"style": "american", "right": "call", "vol": "nonsense", "price": "5.5"}
    assert math.isnan(parse_contract(cells, implied=True).asset.vol)
    assert parse_price(cells) == 5.5
    with pytest.raises(BadInputError, match="price: -1 is negative; give the price to be implied"):
        parse_price({"price": "-1"})


def test_every_column_of_the_contract_is_known() -> None:
    """The columns that docs and scripts rely on."""
    promised = (
        "id style right strike years vol rate carry spot forward barrier barrier_kind rebate payoff cash pay_at "
        "average fixings first_fixing_years elapsed_years average_so_far extreme_so_far spot2 forward2 vol2 carry2 "
        "correlation quantity1 quantity2 extremum funding_kappa funding_iota settlement price"
    )
    assert set(promised.split()) <= COLUMNS
