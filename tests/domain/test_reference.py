from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, inf, nan

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError, ConfigurationError, FlatbookError, UnknownInstrumentError
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.venues.deribit import load_reference

from .recorded import DATA, TAPE, needs_data, needs_tape

REFERENCE = load_reference()
OPTION = REFERENCE.instrument("BTC-28MAR25-80000-C")
LINEAR_OPTION = REFERENCE.instrument("BTC_USDC-28MAR25-80000-C")
PERPETUAL = REFERENCE.instrument("BTC-PERPETUAL")
ETH_PERPETUAL = REFERENCE.instrument("ETH-PERPETUAL")
LINEAR_PERPETUAL = REFERENCE.instrument("BTC_USDC-PERPETUAL")

FAMILY = {
    "tick": "0.5",
    "lot": "10",
    "maker": "0",
    "taker": "0.0005",
    "delivery": "0",
    "effective": "2025-01-01",
    "source": "here",
}


def test_an_instrument_is_the_same_object_every_time() -> None:
    assert REFERENCE.instrument("BTC-PERPETUAL") is PERPETUAL


def test_a_family_of_its_own_comes_before_the_one_for_any_underlying() -> None:
    assert REFERENCE.instrument("BTC_USDC-28MAR25-80000-C").spec.lot == Decimal("0.01")
    assert REFERENCE.instrument("XRP_USDC-28MAR25-2d5-C").spec.lot == Decimal(1)


def test_a_name_without_a_family_is_refused() -> None:
    with pytest.raises(UnknownInstrumentError, match="no contract family SOL/perpetual is configured"):
        REFERENCE.instrument("SOL-PERPETUAL")


def test_a_family_that_lacks_a_field_is_refused_by_field() -> None:
    row = {key: value for key, value in FAMILY.items() if key != "taker"}
    with pytest.raises(ConfigurationError, match="'BTC/perpetual': taker is missing"):
        ReferenceData.from_table({"family": {"BTC/perpetual": row}})


@pytest.mark.parametrize(
    ("instrument", "price", "ticks"),
    [(OPTION, 0.0001, 1), (OPTION, 0.0525, 525), (OPTION, 0.0, 0), (PERPETUAL, 82_237.5, 164_475)],
)
def test_price_ticks(instrument: Instrument, price: float, ticks: int) -> None:
    assert instrument.price_ticks(price) == ticks


@given(st.integers(0, 10**7), st.sampled_from([OPTION, LINEAR_OPTION, PERPETUAL, ETH_PERPETUAL, LINEAR_PERPETUAL]))
def test_every_tick_survives_the_crossing_to_float_and_back(ticks: int, instrument: Instrument) -> None:
    assert instrument.price_ticks(ticks * instrument.tick_size) == ticks
    assert instrument.price_ticks(float(ticks * instrument.spec.ticks.finest)) == ticks


@pytest.mark.parametrize("price", [0.00015, 0.05251, nan, inf, -inf])
def test_a_price_off_the_grid_is_refused(price: float) -> None:
    with pytest.raises(BadInputError, match=r"BTC-28MAR25-80000-C: price \S+ is not a multiple of the tick 0.0001"):
        OPTION.price_ticks(price)


@pytest.mark.parametrize(
    ("instrument", "amount", "lots"), [(OPTION, 0.1, 1), (OPTION, 2.3, 23), (PERPETUAL, 50_000, 5_000)]
)
def test_size_lots(instrument: Instrument, amount: float, lots: int) -> None:
    assert instrument.size_lots(amount) == lots


@pytest.mark.parametrize("amount", [0.05, 1.23, nan])
def test_a_size_between_lots_is_refused(amount: float) -> None:
    with pytest.raises(BadInputError, match=r"not a multiple of the lot 0\.1"):
        OPTION.size_lots(amount)


def test_tick_steps_in_finest_ticks() -> None:
    assert (OPTION.spec.ticks.above_ticks, OPTION.spec.ticks.coarse_ticks) == (50, 5)
    assert PERPETUAL.spec.ticks.coarse_ticks == 1
    assert PERPETUAL.spec.ticks.above_ticks > 10**9


@pytest.mark.parametrize(
    ("instrument", "price", "amount", "cost_units"),
    [
        (OPTION, 0.0525, 10, 52_500_000),
        (OPTION, 0.0525, -10, -52_500_000),
        (LINEAR_OPTION, 1_250, 0.5, 625_000_000),
        (LINEAR_PERPETUAL, 82_000, 0.001, 82_000_000),
        (PERPETUAL, 50_000, 10_000, -20_000_000),
        (PERPETUAL, 60_000, 10_000, -16_666_666),
        (PERPETUAL, 60_000, -10_000, 16_666_667),
    ],
)
def test_what_a_trade_costs(instrument: Instrument, price: float, amount: float, cost_units: int) -> None:
    assert instrument.value_units(instrument.price_ticks(price), instrument.size_lots(amount)) == cost_units


@given(st.integers(1, 10**7), st.integers(-(10**6), 10**6))
def test_a_reciprocal_cost_is_the_exact_one_rounded_against_us(ticks: int, lots: int) -> None:
    exact = Fraction(-lots * 10 * 10**8, ticks) / Fraction(1, 2)
    assert PERPETUAL.value_units(ticks, lots) == ceil(exact)
    assert -PERPETUAL.value_units(ticks, -lots) == floor(exact)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_round_trip_in_the_inverse_perpetual_is_n_over_entry_less_n_over_exit(
    lots: int, entry: int, leave: int
) -> None:
    """n (1/entry - 1/exit) coin, less at most one satoshi of rounding at either end."""
    gained = -PERPETUAL.value_units(entry, lots) - PERPETUAL.value_units(leave, -lots)
    exact = lots * 10 * 10**8 * 2 * (Fraction(1, entry) - Fraction(1, leave))
    assert exact - 2 < gained <= exact


def test_spot_with_finer_steps_than_its_money_rounds_once_against_us() -> None:
    fine = {"tick": "0.01", "lot": "0.00001"}
    spot = ReferenceData.from_table({"family": {"BTC_USDC/spot": FAMILY | fine}}).instrument("BTC_USDC")
    exact = Fraction("60000.01") * Fraction("0.00003") * 10**6
    bought, sold = spot.value_units(6_000_001, 3), spot.value_units(6_000_001, -3)
    assert (bought, sold) == (ceil(exact), -floor(exact)) == (1_800_001, -1_800_000)


def test_a_reciprocal_contract_has_no_value_at_no_price() -> None:
    with pytest.raises(BadInputError, match="BTC-PERPETUAL: a contract worth USD over price has no value at 0 ticks"):
        PERPETUAL.value_units(0, 1)


def test_a_reciprocal_contract_has_no_value_per_tick() -> None:
    with pytest.raises(FlatbookError, match="no constant value per tick"):
        _ = PERPETUAL.units_per_tick_lot


@pytest.mark.parametrize(
    ("name", "is_reciprocal"),
    [
        ("BTC-PERPETUAL", True),
        ("BTC-28MAR25", True),
        ("BTC-28MAR25-80000-C", False),
        ("BTC_USDC-PERPETUAL", False),
        ("BTC_USDC", False),
    ],
)
def test_only_inverse_futures_go_with_one_over_price(name: str, is_reciprocal: bool) -> None:
    assert REFERENCE.instrument(name).is_reciprocal is is_reciprocal


@pytest.mark.parametrize(
    ("instrument", "price", "amount", "rate", "fee"),
    [
        (OPTION, 0.05, 1, "0.0003", "0.0003"),
        (OPTION, 0.0001, 1, "0.0003", "0.0000125"),
        (OPTION, 0.0024, 1, "0.0003", "0.0003"),
        (OPTION, 0.0001, 0.1, "0.0003", "0.00000125"),
        (PERPETUAL, 100_000, 50_000, "0.0005", "0.00025"),
        (PERPETUAL, 100_000, 10_000, "0.0005", "0.00005"),
        (PERPETUAL, 100_000, 10_000, "-0.0001", "-0.00001"),
        (ETH_PERPETUAL, 4_000, 20_000, "0.0005", "0.0025"),
        (PERPETUAL, 90_000, 60_000, "0.0003", "0.0002"),
        (PERPETUAL, 70_000, 10_000, "0.0005", "0.00007143"),
        (PERPETUAL, 70_000, 10_000, "-0.0001", "-0.00001428"),
        (LINEAR_OPTION, 1_250, 1, "0.0003", "24.6"),
        (LINEAR_OPTION, 5, 1, "0.0003", "0.625"),
        (LINEAR_PERPETUAL, 100_000, 0.5, "0.0005", "25"),
    ],
)
def test_fees(instrument: Instrument, price: float, amount: float, rate: str, fee: str) -> None:
    """The venue's fee page: 0.0001 BTC option pays 0.0000125; 50,000 USD at 100,000 pays 0.00025 BTC; 20,000 at 4,000
    pays 0.0025 ETH; a weekly future's maker gets 0.00001 of 10,000 at 100,000. The rest by hand, index 82,000."""
    ticks, lots = instrument.price_ticks(price), instrument.size_lots(amount)
    units = instrument.fee_units(ticks, lots, Decimal(82_000), Decimal(rate))
    assert units == Decimal(fee).scaleb(6 if instrument.contract.settle == "USDC" else 8)
    assert instrument.fee_units(ticks, -lots, Decimal(82_000), Decimal(rate)) == units


def test_a_fee_at_no_price_is_refused_where_it_divides() -> None:
    with pytest.raises(BadInputError, match="no value at 0 ticks"):
        PERPETUAL.fee_units(0, 1, Decimal(82_000), Decimal("0.0005"))


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_an_option_fee_never_exceeds_its_share_of_the_premium(ticks: int, lots: int) -> None:
    fee = OPTION.fee_units(ticks, lots, Decimal(82_000), OPTION.spec.fees.taker)
    assert 0 <= fee <= ceil(Fraction(1, 8) * OPTION.value_units(ticks, lots))
    assert fee <= ceil(Fraction("0.0003") * lots * 10**7)


@needs_tape
def test_the_recorded_tape_trades_on_the_grid() -> None:
    """Book prints keep to the coarse step above its threshold; blocks and combos may use the finest tick anywhere."""
    columns = ["Instrument", "Price (BTC)", "Size", "BlockTrade IDs", "Combo ID"]
    tape = pl.read_parquet(TAPE, columns=columns)
    assert tape["Instrument"].str.starts_with("BTC-").all()
    steps = OPTION.spec.ticks
    exact = tape["Price (BTC)"] / OPTION.tick_size
    ticks = exact.round().cast(pl.Int64)
    assert (exact - ticks).abs().max() < 1e-3  # type: ignore[operator]
    lots = tape["Size"] / OPTION.lot_size
    assert (lots - lots.round()).abs().max() < 1e-3  # type: ignore[operator]
    assert lots.min() >= 1 - 1e-9  # type: ignore[operator]
    is_book = (tape["BlockTrade IDs"].fill_null("") == "") & (tape["Combo ID"].fill_null("") == "")
    is_between_steps = (ticks > steps.above_ticks) & (ticks % steps.coarse_ticks != 0)
    assert is_book.sum() > 140_000
    assert not (is_book & is_between_steps).any()
    assert (~is_book & is_between_steps).any()


@needs_data
def test_recorded_instrument_listings_agree_with_the_contract_table() -> None:
    """Ticks, lots and fees of BTC contracts; weekly futures, whose makers get a rebate, have no family of their own."""
    folder = DATA / "deribit-chain-daily-tickers"
    columns = ["instrument_name", "tick_size", "min_trade_amount", "maker_commission", "taker_commission"]
    options = pl.read_parquet(folder / "options.parquet", columns=columns)
    futures = pl.read_csv(folder / "futures.csv.gz", columns=[*columns, "settlement_period"])
    futures = futures.filter(pl.col("settlement_period") != "week").select(columns)
    for name, tick, lot, maker, taker in [*options.unique().iter_rows(), *futures.unique().iter_rows()]:
        instrument = REFERENCE.instrument(name)
        spec = instrument.spec
        fees = (float(spec.fees.maker), float(spec.fees.taker))
        assert (instrument.tick_size, instrument.lot_size, *fees) == (tick, lot, maker, taker), name
