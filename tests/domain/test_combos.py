import json
from collections import defaultdict

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.combos import STRATEGIES, ComboName, Leg, parse_combo
from flatbook.domain.errors import UnknownInstrumentError
from flatbook.domain.instruments import parse_name

from .recorded import DATA, TAPE, needs_data, needs_tape
from .test_instruments import expiries, heads, strikes

combo_names = st.builds(
    lambda head, code, dates, levels: str(ComboName(head, code, tuple(dates), tuple(levels))),
    heads,
    st.sampled_from(sorted(STRATEGIES)) | st.from_regex(r"[A-Z]{1,6}[0-9]{0,3}", fullmatch=True),
    st.lists(expiries | st.just("PERP"), min_size=1, max_size=4),
    st.lists(strikes, max_size=4),
)


@given(combo_names)
def test_every_combo_prints_back_to_itself_known_or_not(name: str) -> None:
    assert str(parse_combo(name)) == name


@given(combo_names)
def test_legs_are_instruments_with_a_ratio_or_a_refusal(name: str) -> None:
    try:
        legs = parse_combo(name).legs()
    except UnknownInstrumentError as refusal:
        assert name in str(refusal)  # noqa: PT017 either outcome is right, and each is checked
        return
    assert len(legs) >= 2
    for leg in legs:
        assert leg.ratio != 0
        assert str(parse_name(leg.instrument)) == leg.instrument


@pytest.mark.parametrize(
    ("name", "legs"),
    [
        ("BTC-FS-27SEP24_PERP", "+1 BTC-27SEP24, -1 BTC-PERPETUAL"),
        ("ETH-FS-27DEC24_27SEP24", "+1 ETH-27DEC24, -1 ETH-27SEP24"),
        ("BTC-CS-31MAR23-100000_200000", "+1 BTC-31MAR23-100000-C, -1 BTC-31MAR23-200000-C"),
        ("BTC-PS-4APR25-81000_78000", "+1 BTC-4APR25-81000-P, -1 BTC-4APR25-78000-P"),
        ("BTC-PSR12-11APR25-78000_75000", "+1 BTC-11APR25-78000-P, -2 BTC-11APR25-75000-P"),
        ("BTC-CSR23-30MAY25-82000_92000", "+2 BTC-30MAY25-82000-C, -3 BTC-30MAY25-92000-C"),
        ("BTC-REV-29APR22-37500", "+1 BTC-29APR22-37500-C, -1 BTC-29APR22-37500-P"),
        ("BTC-RR-1APR25-76000_87000", "-1 BTC-1APR25-76000-P, +1 BTC-1APR25-87000-C"),
        ("BTC-RRITM-11SEP26-75000_84000", "+1 BTC-11SEP26-75000-C, -1 BTC-11SEP26-84000-P"),
        ("BTC-PCAL-28AUG26_31JUL26-62000", "+1 BTC-28AUG26-62000-P, -1 BTC-31JUL26-62000-P"),
        ("BTC-CDIAG-11APR25_4APR25-86000_83000", "+1 BTC-11APR25-86000-C, -1 BTC-4APR25-83000-C"),
        (
            "BTC-ICOND-31JAN25-82000_84000_98000_100000",
            "+1 BTC-31JAN25-82000-P, -1 BTC-31JAN25-84000-P, -1 BTC-31JAN25-98000-C, +1 BTC-31JAN25-100000-C",
        ),
        (
            "BTC-DSTDC-11APR25_4APR25-89000_79000",
            "+1 BTC-11APR25-89000-C, +1 BTC-11APR25-89000-P, -1 BTC-4APR25-79000-C, -1 BTC-4APR25-79000-P",
        ),
        (
            "DOGE_USDC-CS-28AUG26-0d1184_0d12",
            "+1 DOGE_USDC-28AUG26-0d1184-C, -1 DOGE_USDC-28AUG26-0d12-C",
        ),
    ],
)
def test_what_a_buyer_gets(name: str, legs: str) -> None:
    """CS, FS and REV are the venue's own examples; the rest follow the tape, and a bought combo's sign of value."""
    assert ", ".join(f"{leg.ratio:+d} {leg.instrument}" for leg in parse_combo(name).legs()) == legs


@pytest.mark.parametrize(
    "name",
    [
        "BTC-27SEP24-60000-C",
        "BTC-PERPETUAL",
        "BTC-CS",
        "BTC-CS-27SEP2024-1_2",
        "BTC-CS-27SEP24-60000_",
        "BTC-CS-27SEP24-60k",
        "BTC-CS-27SEP24-1_2-3_4",
        "-CS-27SEP24-1_2",
    ],
)
def test_what_is_no_combo(name: str) -> None:
    with pytest.raises(UnknownInstrumentError, match="is not a Deribit name"):
        parse_combo(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("BTC-JR-27SEP24_25OCT24-60000", "'JR' has no known legs"),
        ("BTC-CS-27SEP24-60000", "CS does not take 1 expiries and 1 strikes"),
        ("BTC-CS-27SEP24-1_2_3", "CS does not take 1 expiries and 3 strikes"),
        ("BTC-PCAL-28AUG26_31JUL26-62000_63000", "PCAL does not take 2 expiries and 2 strikes"),
        ("BTC-CS-PERP-60000_65000", "CS does not take 1 expiries"),
        ("BTC-FS-27SEP24_PERP-60000", "FS does not take 2 expiries and 1 strikes"),
    ],
)
def test_legs_that_are_not_known_are_refused_while_the_name_still_prints(name: str, reason: str) -> None:
    combo = parse_combo(name)
    assert str(combo) == name
    with pytest.raises(UnknownInstrumentError, match=reason):
        combo.legs()


@needs_data
def test_legs_are_those_the_venue_lists() -> None:
    reply = json.loads((DATA / "deribit-ws-raw" / "nautilus_deribit" / "http_get_combos.json").read_text())
    assert {combo["id"].split("-")[1] for combo in reply["result"]} == {"BOX", "CS", "FS"}
    for combo in reply["result"]:
        listed = {Leg(leg["instrument_name"], leg["amount"]) for leg in combo["legs"]}
        assert set(parse_combo(combo["id"]).legs()) == listed


@needs_tape
def test_recorded_combo_trades_print_their_legs_in_our_ratios() -> None:
    """All prints of one combo trade together: taker side times size, by instrument, is one multiple of the ratios.

    A trade whose legs are not all on the tape (the source's download cut it) must still only show legs we know.
    """
    keys = ["Combo ID", "Entry Date", "ComboTrade IDs", "BlockTrade IDs"]
    columns = ["Instrument", "Side", "Size", *keys]
    prints = pl.read_parquet(TAPE, columns=columns).filter(pl.col("Combo ID").fill_null("") != "")
    assert prints["Combo ID"].n_unique() == 675
    whole: dict[str, int] = defaultdict(int)
    cut = 0
    for (name, *_), trade in prints.group_by(keys):
        combo = parse_combo(str(name))
        assert str(combo) == name
        ratios = {leg.instrument: leg.ratio for leg in combo.legs()}
        lots: dict[str, int] = defaultdict(int)
        for instrument, side, size, *_ in trade.iter_rows():
            lots[instrument] += round(size * 10) * (1 if side == "BUY" else -1)
        assert lots.keys() <= ratios.keys(), name
        if lots.keys() == ratios.keys():
            assert len({lots[leg] / ratio for leg, ratio in ratios.items()}) == 1, name
            whole[combo.strategy] += 1
        else:
            cut += 1
    assert len(whole) == 20
    assert cut < 0.07 * sum(whole.values())
