"""Recorded Deribit chains as strips and fitted smiles; tests that read them skip where they are absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from flatbook.kernels.implied import implied_vol
from flatbook.kernels.svi_fit import FIT_SIZE, fit_slice
from flatbook.market.analytics.smile import Smile
from flatbook.market.analytics.vix import CoinStrip, OptionStrip

Floats = NDArray[np.float64]

DATA = Path(__file__).parents[3] / "shared" / "data"
CHAINS = DATA / "deribit-chain-6h"
DVOL = DATA / "dvol-btc-daily" / "dvol_btc_daily.csv.gz"
BOOK_LOG = DATA / "deribit-option-book-log" / "book_log_2026-07.jsonl.gz"

WINTER = ("chain_2026-01-14_31", "chain_2026-02-01_14", "chain_2026-02-15_28")
JULY = ("chain_2026-07-05_27",)

needs_chains = pytest.mark.skipif(
    not (CHAINS.exists() and DVOL.exists() and BOOK_LOG.exists()),
    reason="the recorded chains and vol indices are not beside the repository",
)

YEAR_S = 365 * 86_400
_QUOTES = ("bid_price", "ask_price", "mark_price")


@dataclass(frozen=True, eq=False)
class Expiry:
    """One expiry of one snapshot: quotes and marks in coin, rising strikes; NaN where there is none."""

    name: str
    years: float
    forward_usd: float
    strike_usd: Floats
    quotes: OptionStrip
    call_mark: Floats
    put_mark: Floats

    def log_moneyness(self) -> Floats:
        """ln(K/F)."""
        return np.asarray(np.log(self.strike_usd / self.forward_usd))

    def smile(self) -> Smile | None:
        """SVI of the bands that out-of-the-money quotes leave, pulled to the vols of the marks; None: too few."""
        is_put = self.strike_usd < self.forward_usd
        q = self.quotes
        bid, ask = np.where(is_put, q.put_bid, q.call_bid), np.where(is_put, q.put_ask, q.call_ask)
        mark = np.where(is_put, self.put_mark, self.call_mark)
        lo, hi, mid = (_vols(self, price) for price in (bid, ask, mark))
        out = np.empty(FIT_SIZE)
        none = np.full(5, np.nan)
        weight = np.where(mark > 5e-5, 1.0, 0.0)
        code = fit_slice(self.log_moneyness(), lo, hi, mid, weight, self.years, none, none, 0.0, 0.1, 0.1, out)
        return Smile(out[:5].copy(), self.years, self.forward_usd) if code in (0, 1) else None

    def strip(self) -> CoinStrip:
        """Quotes with their smile."""
        smile = self.smile()
        assert smile is not None
        return CoinStrip(self.quotes, smile)


def _vols(expiry: Expiry, price_coin: Floats) -> Floats:
    n = price_coin.size
    vol, reason = np.empty(n), np.empty(n, np.int8)
    sign = np.where(expiry.strike_usd < expiry.forward_usd, -1.0, 1.0)
    forward, years = np.full(n, expiry.forward_usd), np.full(n, expiry.years)
    implied_vol(price_coin * expiry.forward_usd, forward, expiry.strike_usd, years, sign, vol, reason)
    return vol


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A whole chain at one time, as written and in seconds since 1970, expiries rising."""

    name: str
    time_s: float
    expiries: tuple[Expiry, ...]

    def around(self, years: float) -> tuple[Expiry, Expiry]:
        """The two expiries that bracket a tenor."""
        at = int(np.searchsorted([expiry.years for expiry in self.expiries], years))
        return self.expiries[at - 1], self.expiries[at]


def snapshots(files: tuple[str, ...], currency: str) -> Iterator[Snapshot]:
    """Recorded chains of one currency in the order of time, without what expires within an hour."""
    columns = ["timestamp", "expiry_datetime", "strike", "option_type", "underlying", *_QUOTES]
    for file in files:
        frame = pl.read_parquet(CHAINS / f"{file}.parquet", columns=[*columns, "currency"])
        wide = (
            frame.filter(pl.col("currency") == currency)
            .pivot(on="option_type", index=["timestamp", "expiry_datetime", "strike"], values=["underlying", *_QUOTES])
            .sort("timestamp", "expiry_datetime", "strike")
        )
        for (time,), chain in wide.group_by("timestamp", maintain_order=True):
            time_s = datetime.fromisoformat(str(time)).timestamp()
            expiries = [
                _expiry(str(name), time_s, rows)
                for (name,), rows in chain.group_by("expiry_datetime", maintain_order=True)
            ]
            yield Snapshot(str(time), time_s, tuple(expiry for expiry in expiries if expiry.years > 1 / 8760))


def _expiry(name: str, time_s: float, rows: pl.DataFrame) -> Expiry:
    def column(quote: str, right: str) -> Floats:
        return rows[f"{quote}_{right}"].fill_null(np.nan).to_numpy().astype(np.float64)

    strike = rows["strike"].to_numpy().astype(np.float64)
    bids_asks = [column(quote, right) for right in ("call", "put") for quote in ("bid_price", "ask_price")]
    return Expiry(
        name,
        (datetime.fromisoformat(name).timestamp() - time_s) / YEAR_S,
        float(np.nanmedian(column("underlying", "call"))),
        strike,
        OptionStrip(strike, *bids_asks),
        column("mark_price", "call"),
        column("mark_price", "put"),
    )
