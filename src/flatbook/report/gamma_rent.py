"""Gamma rent and carry: what convexity cost against what moves paid for it, and what basis earned against funding.

A long-gamma book pays theta and scalps its moves; a short one earns theta and pays for them. Over a step with return r
gamma earns 1/2 G r², G being the change of USD delta per unit return; the moves at which that meets theta are the break
even. A hedge in perpetuals or futures is a basis position as well: it earns or pays funding, and the move of its basis.
"""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
import polars.selectors as cs

from flatbook.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_YEAR
from flatbook.report.tables import conform

STEP_NS = 5 * NS_PER_MINUTE
"""Returns are taken over this long: finer ones would count the bounce of the index as moves."""


class RentRow(NamedTuple):
    """One UTC day, or the part of it that the run saw; P&L in USD as the parts of equity have it, NaN where unknown.

    hours               seen
    gamma_1pct_usd      mean over time: USD of delta per 1 % move, positive is long
    gamma_usd           P&L of gamma
    expected_gamma_usd  1/2 G r² summed over steps: what gamma should have earned
    theta_usd           P&L of theta: rent, negative is paid
    hedging_usd         what hedges cost, fees included
    realised_move       square root of the sum of squared returns, scaled to a day
    break_even_move     a day's move at which theta meets gamma; NaN where both are of one sign
    """

    ts_ns: int
    hours: float
    gamma_1pct_usd: float
    gamma_usd: float
    expected_gamma_usd: float
    theta_usd: float
    hedging_usd: float
    realised_move: float
    break_even_move: float

    @property
    def net_usd(self) -> float:
        """Gamma and theta after what hedging cost."""
        return self.gamma_usd + self.theta_usd - self.hedging_usd

    @property
    def role(self) -> str:
        """Which side of the rent the book was on."""
        if self.gamma_1pct_usd == 0.0:
            return "no gamma"
        return "scalps gamma, pays rent" if self.gamma_1pct_usd > 0.0 else "short gamma, earns rent"


class CarryRow(NamedTuple):
    """One UTC day's basis position, or the part of it that the run saw; USD.

    position_usd        mean over time of the hedge in perpetuals and futures, signed
    funding_usd, basis_usd      P&L of either
    funding_rate        received per USD held and year; NaN without a position
    """

    ts_ns: int
    hours: float
    position_usd: float
    funding_usd: float
    basis_usd: float
    funding_rate: float

    @property
    def net_usd(self) -> float:
        """Funding and basis together."""
        return self.funding_usd + self.basis_usd

    @property
    def role(self) -> str:
        """Which side of the funding it was on; the basis is what may take that away again."""
        if self.position_usd == 0.0:
            return "no position"
        side = "long" if self.position_usd > 0.0 else "short"
        return f"{side}, {'earns' if self.funding_usd >= 0.0 else 'pays'} funding"


def gamma_rent(frames: Mapping[str, pl.DataFrame]) -> tuple[RentRow, ...]:
    """Rent by day, from a run's series (`report.tables`); none without equity and exposures."""
    series = conform(frames)
    equity, exposures = series["equity"].sort("ts_ns"), series["exposures"].sort("ts_ns")
    if equity.is_empty() or exposures.is_empty():
        return ()
    held = _held(exposures, ("gamma_1pct_usd", "theta_usd_day"), int(equity["ts_ns"][-1]))
    # Groups in order, here and below: else polars adds up in the order in which its threads end, and digits differ.
    paid = series["hedges"].with_columns(paid=pl.col("cost_usd").fill_nan(0.0) + pl.col("fee_usd").fill_nan(0.0))
    table = (
        _by_day(equity, ("gamma", "theta"))
        .join(_moves(equity, exposures), on="day", how="left")
        .join(
            held.group_by("day", maintain_order=True).agg(*_totals("gamma_1pct_usd", "theta_usd_day")),
            on="day",
            how="left",
        )
        .join(
            paid.group_by(_day(int(equity["ts_ns"][0])), maintain_order=True).agg(pl.col("paid").sum()),
            on="day",
            how="left",
        )
        .with_columns(pl.col("paid").fill_null(0.0))
        .with_columns(cs.float().fill_null(float("nan")))
    )
    rows = []
    for row in table.iter_rows(named=True):
        days, gamma, theta = row["span_ns"] / NS_PER_DAY, row["gamma_1pct_usd"], row["theta_usd_day"]
        even = -2.0 * theta / (100.0 * gamma) if gamma else float("nan")
        rows.append(
            RentRow(
                ts_ns=row["first_ns"],
                hours=row["span_ns"] / NS_PER_HOUR,
                gamma_1pct_usd=gamma / days,
                gamma_usd=row["gamma"],
                expected_gamma_usd=row["expected"],
                theta_usd=row["theta"],
                hedging_usd=row["paid"],
                realised_move=(row["square"] / days) ** 0.5,
                break_even_move=even**0.5 if even >= 0.0 else float("nan"),
            )
        )
    return tuple(rows)


def carry(frames: Mapping[str, pl.DataFrame]) -> tuple[CarryRow, ...]:
    """Carry by day, from a run's series; the position is what its hedges have added up to since the run began."""
    series = conform(frames)
    equity, hedges = series["equity"].sort("ts_ns"), series["hedges"].sort("ts_ns")
    if equity.is_empty():
        return ()
    start = pl.DataFrame({"ts_ns": [equity["ts_ns"][0]], "position": [0.0]})
    basis = hedges.filter(pl.col("kind") != "option")
    traded = basis.select("ts_ns", position=(pl.col("side") * pl.col("size_usd")).cum_sum())
    held = _held(pl.concat([start, traded]), ("position",), int(equity["ts_ns"][-1]))
    table = (
        _by_day(equity, ("funding", "basis"))
        .join(held.group_by("day", maintain_order=True).agg(*_totals("position")), on="day", how="left")
        .with_columns(pl.col("position").fill_null(0.0))
    )
    rows = []
    for row in table.iter_rows(named=True):
        days, dollar_days = row["span_ns"] / NS_PER_DAY, row["position"]
        rows.append(
            CarryRow(
                ts_ns=row["first_ns"],
                hours=row["span_ns"] / NS_PER_HOUR,
                position_usd=dollar_days / days,
                funding_usd=row["funding"],
                basis_usd=row["basis"],
                funding_rate=row["funding"] / abs(dollar_days) * (NS_PER_YEAR / NS_PER_DAY)
                if dollar_days
                else float("nan"),
            )
        )
    return tuple(rows)


def _day(start_ns: int) -> pl.Expr:
    """The day that a row tells of: what is booked at midnight belongs to the day that ends."""
    return pl.max_horizontal((pl.col("ts_ns") - 1) // NS_PER_DAY, start_ns // NS_PER_DAY).alias("day")


def _by_day(equity: pl.DataFrame, parts: tuple[str, ...]) -> pl.DataFrame:
    """What each part earned in each day that the run saw some of, and how much of it."""
    start_ns, end_ns = int(equity["ts_ns"][0]), int(equity["ts_ns"][-1])
    days = equity.group_by(_day(start_ns), maintain_order=True).agg(pl.col(parts).last())
    first = pl.max_horizontal(pl.col("day") * NS_PER_DAY, start_ns)
    return days.select(
        "day",
        *(pl.col(part) - pl.col(part).shift(1, fill_value=0.0) for part in parts),
        first_ns=first,
        span_ns=pl.min_horizontal((pl.col("day") + 1) * NS_PER_DAY, end_ns) - first,
    ).filter(pl.col("span_ns") > 0)


def _held(rows: pl.DataFrame, columns: tuple[str, ...], end_ns: int) -> pl.DataFrame:
    """Rows that hold until the next, cut at midnights: their columns, the day they fall in, and for how many days."""
    until = rows.select("ts_ns", *columns, end=pl.col("ts_ns").shift(-1, fill_value=end_ns))
    days = pl.int_ranges(pl.col("ts_ns") // NS_PER_DAY, pl.col("end") // NS_PER_DAY + 1)
    first, last = pl.col("day") * NS_PER_DAY, (pl.col("day") + 1) * NS_PER_DAY
    held = pl.min_horizontal("end", last) - pl.max_horizontal("ts_ns", first)
    return until.with_columns(day=days).explode("day").with_columns(days=held / NS_PER_DAY)


def _totals(*columns: str) -> list[pl.Expr]:
    return [(pl.col(column) * pl.col("days")).sum() for column in columns]


def _moves(equity: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """By day: squared returns over steps, and what gamma as it stood at each step's start should have earned."""
    steps = equity.group_by((pl.col("ts_ns") // STEP_NS).alias("step"), maintain_order=True).agg(
        pl.col("ts_ns").last(), pl.col("index_usd").last()
    )
    moves = steps.select(
        "ts_ns",
        start=pl.col("ts_ns").shift(1),
        square=(pl.col("index_usd") / pl.col("index_usd").shift(1)).log() ** 2,
    ).drop_nulls()
    gamma = exposures.select("ts_ns", "gamma_1pct_usd")
    stood = moves.sort("start").join_asof(gamma, left_on="start", right_on="ts_ns")
    earned = 0.5 * 100.0 * pl.col("gamma_1pct_usd") * pl.col("square")
    return stood.group_by(_day(int(equity["ts_ns"][0])), maintain_order=True).agg(
        pl.col("square").sum(), expected=earned.sum()
    )
