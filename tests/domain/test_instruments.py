import re
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import ContractName, Kind, Right, format_expiry, parse_expiry, parse_name

from .recorded import DATA, TAPE, needs_data, needs_tape

EXPIRY_27SEP24_NS = int(datetime(2024, 9, 27, 8, tzinfo=UTC).timestamp()) * 10**9

days = st.dates(datetime(2000, 1, 1, tzinfo=UTC).date(), datetime(2099, 12, 31, tzinfo=UTC).date())
expiries = days.map(lambda day: f"{day.day}{day:%b}{day:%y}".upper())
strikes = st.integers(1, 10**6).map(str) | st.from_regex(r"(0|[1-9][0-9]{0,3})d[0-9]{0,3}[1-9]", fullmatch=True)
heads = st.sampled_from(["BTC", "ETH", "SOL", "BTC_USDC", "ETH_USDT", "XRP_USDC", "1INCH_USDC"])
names = st.one_of(
    heads.filter(lambda head: "_" in head),
    heads.map(lambda head: f"{head}-PERPETUAL"),
    st.builds("{}-{}".format, heads, expiries),
    st.builds("{}-{}-{}-{}".format, heads, expiries, strikes, st.sampled_from("CP")),
)


@given(names)
def test_every_name_prints_back_to_itself(name: str) -> None:
    assert str(parse_name(name)) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "BTC-27SEP24-60000-C",
            ContractName(Kind.OPTION, "BTC", "USD", "BTC", EXPIRY_27SEP24_NS, Decimal(60000), Right.CALL),
        ),
        (
            "XRP_USDC-27SEP24-0d48-P",
            ContractName(Kind.OPTION, "XRP", "USDC", "USDC", EXPIRY_27SEP24_NS, Decimal("0.48"), Right.PUT),
        ),
        ("ETH-27SEP24", ContractName(Kind.FUTURE, "ETH", "USD", "ETH", EXPIRY_27SEP24_NS)),
        ("BTC_USDC-27SEP24", ContractName(Kind.FUTURE, "BTC", "USDC", "USDC", EXPIRY_27SEP24_NS)),
        ("BTC-PERPETUAL", ContractName(Kind.PERPETUAL, "BTC", "USD", "BTC")),
        ("SOL_USDC-PERPETUAL", ContractName(Kind.PERPETUAL, "SOL", "USDC", "USDC")),
        ("BTC_USDC", ContractName(Kind.SPOT, "BTC", "USDC", "USDC")),
    ],
)
def test_what_a_name_says(name: str, expected: ContractName) -> None:
    assert parse_name(name) == expected


@pytest.mark.parametrize(
    ("name", "is_inverse"),
    [
        ("BTC-27SEP24-60000-C", True),
        ("BTC-PERPETUAL", True),
        ("BTC_USDC-27SEP24-60000-C", False),
        ("BTC_USDC-PERPETUAL", False),
        ("BTC_USDC", False),
    ],
)
def test_which_contracts_pay_in_coin(name: str, is_inverse: bool) -> None:
    assert parse_name(name).is_inverse is is_inverse


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "btc-PERPETUAL",
        "BTC-PERPETUAL ",
        "BTC-PERP",
        "BTC-32SEP24",
        "BTC-30FEB24",
        "BTC-07SEP24",
        "BTC-27SEPT24",
        "BTC-27sep24-60000-C",
        "BTC-27SEP2024-60000-C",
        "BTC-27SEP24-60000-X",
        "BTC-27SEP24-60000",
        "BTC-27SEP24-060000-C",
        "BTC-27SEP24-0-C",
        "BTC-27SEP24--60000-C",
        "BTC-27SEP24-60.5-C",
        "BTC-27SEP24-６0000-C",
        "BTC_EUR-PERPETUAL",
        "DOGE-PERPETUAL",
        "BTC-CS-27SEP24-60000_65000",
    ],
)
def test_what_no_convention_explains_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownInstrumentError, match=re.escape(repr(name))):
        parse_name(name)


@pytest.mark.parametrize("text", ["PERP", "0SEP24", "01SEP24", "31JUN25", "29FEB25", "27SEP", "27SEP24 ", "２7SEP24"])
def test_what_is_no_expiry(text: str) -> None:
    assert parse_expiry(text) is None


def test_expiry_is_eight_utc_to_the_nanosecond() -> None:
    assert parse_expiry("27SEP24") == EXPIRY_27SEP24_NS
    assert parse_expiry("29FEB24") == int(datetime(2024, 2, 29, 8, tzinfo=UTC).timestamp()) * 10**9
    assert format_expiry(EXPIRY_27SEP24_NS) == "27SEP24"


@pytest.mark.parametrize(("right", "sign"), [(Right.CALL, 1), (Right.PUT, -1)])
def test_right_has_the_sign_of_its_payoff(right: Right, sign: int) -> None:
    assert right.sign == sign


@needs_tape
def test_every_instrument_of_the_tape_says_what_its_columns_say() -> None:
    columns = ["Instrument", "Strike Price", "Option Type", "Expiration Date"]
    rows = pl.read_parquet(TAPE, columns=columns).unique()
    assert len(rows) > 1_000
    for name, strike, option_type, expiration in rows.iter_rows():
        contract = parse_name(name)
        assert str(contract) == name
        assert contract.strike == Decimal(strike)
        assert contract.right is (Right.CALL if option_type == "Call" else Right.PUT)
        assert contract.expiry_ns is not None
        expiry = datetime.fromtimestamp(contract.expiry_ns / 1e9, tz=UTC)
        assert expiry == datetime.strptime(expiration, "%d-%b-%y").replace(hour=8, tzinfo=UTC)


@needs_data
def test_every_listed_contract_expires_when_the_venue_says() -> None:
    folder = DATA / "deribit-chain-daily-tickers"
    columns = ["instrument_name", "expiration_timestamp"]
    options = pl.read_parquet(folder / "options.parquet", columns=columns)
    futures = pl.read_csv(folder / "futures.csv.gz", columns=columns)
    listed = dict(pl.concat([options, futures]).unique().iter_rows())
    del listed["BTC-PERPETUAL"]
    assert len(listed) > 600
    assert {name: parse_name(name).expiry_ns for name in listed} == {name: ms * 10**6 for name, ms in listed.items()}
