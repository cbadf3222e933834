"""What the page of order flow draws: rates with their fits, the map of buckets, markouts, and flow over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flatbook.market.flow.buckets import SIDES, FlowBuckets
from flatbook.market.flow.clusters import Samples
from flatbook.market.flow.crowds import LEVELS
from flatbook.market.flow.decays import Dispersion, Evidence
from flatbook.market.flow.intensities import Intensities
from flatbook.market.flow.markouts import COIN, EDGE_COIN, EDGE_UNITS, UNITS, VOL_PT
from flatbook.market.flow.order_flow import OrderFlow
from flatbook.market.flow.toxicity import AdverseSelection

Floats = NDArray[np.float64]
Chart = dict[str, Any]

NS_PER_MS = 1_000_000
DAYS = 365.0
SIDE_NAMES = ("takers sell", "takers buy")
CURVES_PER_TENOR = 5
BUCKETS_FOLLOWED = 6
_LEAST_COUNT = 20.0
"""A curve of fewer samples, discounted, is not drawn."""


@dataclass(frozen=True, slots=True)
class FlowView:
    """What the page shows of one moment.

    dispersion      of buckets' counts, by which their bars are widened
    markouts        by horizon; `nodes` says which rows of them are whose
    misses          share of prints short of fair value
    """

    buckets: FlowBuckets
    grid: Floats
    evidence: Evidence
    dispersion: Dispersion
    estimates: Intensities
    horizons_s: tuple[float, ...]
    size_edges: tuple[float, ...]
    markouts: tuple[Samples, ...]
    nodes: dict[str, slice]
    losses: AdverseSelection
    prints: int
    misses: float

    @staticmethod
    def of(flow: OrderFlow) -> "FlowView":
        """What `flow` knows now; the markouts are those of the tape's prints."""
        estimates, losses = flow.estimate(), flow.toxicity()
        model = flow.model.markouts
        intensities = flow.intensities
        return FlowView(
            flow.model.buckets,
            intensities.grid,
            intensities.evidence(),
            intensities.dispersion(LEVELS[-1]),
            estimates,
            model.horizons_s,
            model.size_edges,
            tuple(flow.prints.samples(horizon, estimates.now_ns) for horizon in range(len(model.horizons_s))),
            flow.prints.nodes,
            losses,
            intensities.prints,
            intensities.misses / intensities.prints if intensities.prints else math.nan,
        )


@dataclass(frozen=True, slots=True)
class FlowHistory:
    """How flow was: columns by time, NaN where not known. vpin 0 to 1, activity over its mean."""

    ts_ns: Sequence[int]
    vpin: Sequence[float]
    activity: Sequence[float]


def flow_charts(view: FlowView, history: FlowHistory) -> Chart:
    """Everything the page's script needs; None stands for what is not known."""
    return {
        "rates": _rates(view),
        "maps": _maps(view),
        "markouts": _markouts(view),
        "horizons": [0.0, *view.horizons_s],
        "history": _history(history),
    }


def tenor_name(buckets: FlowBuckets, tenor: int) -> str:
    """A tenor as people read it: `2–4 d`."""
    return buckets.name(tenor * buckets.strikes).partition(" d ")[0] + " d"


def _rates(view: FlowView) -> list[Chart]:
    """By tenor, nearest first, and side: its buckets with most prints, each with points, bars and the fit."""
    strikes = view.buckets.strikes
    arrivals = view.evidence.arrivals.reshape(-1, SIDES)
    out = []
    for tenor in range(view.buckets.tenors):
        mine = np.arange(tenor * strikes, (tenor + 1) * strikes)
        sides = []
        for side in range(SIDES):
            most = mine[np.argsort(-arrivals[mine, side], kind="stable")[:CURVES_PER_TENOR]]
            sides.append([_rate_curve(view, int(bucket), side) for bucket in np.sort(most)])
        out.append({"tenor": tenor_name(view.buckets, tenor), "sides": sides})
    return out


def _rate_curve(view: FlowView, bucket: int, side: int) -> Chart:
    node = SIDES * bucket + side
    days = float(view.evidence.exposure[node]) * DAYS
    reached = view.evidence.reached[node]
    seen = reached > 0
    rate = reached[seen] / days if days > 0 else reached[seen]
    off = 2 * np.sqrt(view.dispersion.arrivals / reached[seen])
    arrivals = float(view.estimates.arrivals_per_year[bucket, side]) / DAYS
    fit = arrivals * np.exp(-float(view.estimates.decay[bucket, side]) * view.grid)
    return {
        "name": view.buckets.name(bucket).partition(" d ")[2],
        "depth": view.grid[seen].tolist(),
        "rate": _rounded(rate),
        "low": _rounded(rate * np.exp(-off)),
        "high": _rounded(rate * np.exp(off)),
        "at": view.grid.tolist(),
        "fit": _rounded(fit),
    }


def _maps(view: FlowView) -> Chart:
    """Each measure by tenor (rows) and strike (columns), both sides' mean."""
    buckets, found = view.buckets, view.estimates
    shape = (buckets.tenors, buckets.strikes)
    half = buckets.strikes // 2
    order = [*range(half - 1, -1, -1), *range(half, buckets.strikes)]
    measures = {
        "A, a day": found.arrivals_per_year / DAYS,
        "k, a unit": found.decay,
        "Charge, units": view.losses.charge,
        "Error of A, %": 100 * found.log_arrivals_error,
    }
    return {
        "tenors": [tenor_name(buckets, tenor) for tenor in range(buckets.tenors)],
        "strikes": [buckets.name(strike).partition(" d ")[2] for strike in order],
        "measures": {
            name: [_rounded(row) for row in value.mean(axis=1).reshape(shape)[:, order]]
            for name, value in measures.items()
        },
    }


def _markouts(view: FlowView) -> list[Chart]:
    """By measure, then group: curves of edge and markout at 0 and each horizon, with two standard errors."""
    return [
        {"name": name, "unit": unit, "groups": _markout_groups(view, move, edge)}
        for name, unit, move, edge in (
            ("Value, units", "units of depth", UNITS, EDGE_UNITS),
            ("Value, coin", "coin a contract", COIN, EDGE_COIN),
            ("Vol", "vol points, what vol did alone", VOL_PT, None),
        )
    ]


def _markout_groups(view: FlowView, move: int, edge: int | None) -> list[Chart]:
    nodes, sizes = view.nodes, (0.0, *view.size_edges)
    worth = view.markouts[0].worth
    by_worth = np.argsort(-worth[nodes["bucket"]], kind="stable")[:BUCKETS_FOLLOWED]
    groups: dict[str, dict[str, int]] = {
        "All": {"all prints": nodes["all"].start},
        "By size and side": {
            f"{_size(sizes, number)}, {SIDE_NAMES[side]}": nodes["size"].start + SIDES * number + side
            for number in range(len(sizes))
            for side in range(SIDES)
        },
        "By tenor": {
            tenor_name(view.buckets, tenor): nodes["tenor"].start + tenor for tenor in range(view.buckets.tenors)
        },
        "By bucket": {
            f"{view.buckets.name(int(node) // SIDES)}, {SIDE_NAMES[int(node) % SIDES]}": nodes["bucket"].start
            + int(node)
            for node in by_worth
        },
    }
    return [
        {
            "name": name,
            "curves": [
                _curve(view, label, node, move, edge) for label, node in members.items() if worth[node] > _LEAST_COUNT
            ],
        }
        for name, members in groups.items()
    ]


def _curve(view: FlowView, label: str, node: int, move: int, edge: int | None) -> Chart:
    one = slice(node, node + 1)
    moves = [samples.of(one, move) for samples in view.markouts]
    edges = [samples.of(one, edge) for samples in view.markouts] if edge is not None else []
    start = edges[0].mean if edges else np.zeros(1)
    means = [float(start[0])] + [
        float(found.mean[0] + (edges[number].mean[0] if edges else 0.0)) for number, found in enumerate(moves)
    ]
    errors = [float(edges[0].error[0]) if edges else 0.0, *(float(found.error[0]) for found in moves)]
    return {
        "name": label,
        "count": round(float(view.markouts[0].worth[node])),
        "mean": _rounded(np.array(means)),
        "error": _rounded(2 * np.array(errors)),
    }


def _size(edges: Sequence[float], number: int) -> str:
    if number + 1 == len(edges):
        return f"{edges[number]:g} contracts or more"
    return f"under {edges[number + 1]:g}" if number == 0 else f"{edges[number]:g} to {edges[number + 1]:g}"


def _history(history: FlowHistory) -> Chart:
    return {
        "t": [ts_ns // NS_PER_MS for ts_ns in history.ts_ns],
        "vpin": _rounded(np.asarray(history.vpin, dtype=np.float64)),
        "activity": _rounded(np.asarray(history.activity, dtype=np.float64)),
    }


def _rounded(values: Floats) -> list[float | None]:
    """To four significant digits; None where not known."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]
