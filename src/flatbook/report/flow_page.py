"""Order flow as estimated: a page of rates against depth with their fits, markouts, charges, and flow over time."""

import math

import numpy as np

from flatbook.market.flow.buckets import SIDES
from flatbook.market.flow.intensities import REASONS, FitStatus
from flatbook.market.flow.markouts import EDGE_UNITS, UNITS
from flatbook.market.flow.toxicity import LOSS_REASONS, LossStatus
from flatbook.report import formats
from flatbook.report.flow_charts import DAYS, SIDE_NAMES, FlowHistory, FlowView, flow_charts
from flatbook.report.html import page
from flatbook.report.markup import Column, Html, figure, section, table, tag, tile

TABLE_ROWS = 60


def render_flow(view: FlowView, history: FlowHistory, market: str) -> str:
    """The whole page, deterministic in its arguments; `market` is where the flow was seen."""
    body = (
        _header(view, market),
        _tiles(view, history),
        section(
            "rates",
            "How often takers come, and how far",
            "Fills of our size a day that a quote in one option would have had at a depth: what came, with two "
            "standard errors for counts that come in crowds, and the fit A exp(−k d), drawn towards alike buckets. "
            "Depth is in units of a share of the coin and a piece of vol, added in squares.",
            Html('<div class="controls" id="tenor-picks" role="group" aria-label="tenor"></div>'),
            Html('<div class="controls" id="side-picks" role="group" aria-label="side" style="margin-top:6px"></div>'),
            figure("rate", "Rate against depth", "fills a day and option, log scale"),
            _estimates_table(view),
        ),
        section(
            "map",
            "All buckets",
            "By days to expiry and how far out of the money, puts left and calls right.",
            Html('<div class="controls" id="map-picks" role="group" aria-label="measure"></div>'),
            figure("heat", "", ""),
        ),
        section(
            "markouts",
            "What trades were worth later",
            "Seen from the maker of each print on the tape: the edge at the trade, then edge and what fair value did "
            "since, over time's decay. Bars are two standard errors, by blocks of time.",
            Html('<div class="controls" id="measure-picks" role="group" aria-label="measure"></div>'),
            Html(
                '<div class="controls" id="group-picks" role="group" aria-label="group" style="margin-top:6px"></div>'
            ),
            figure("markout", "Markout against horizon", ""),
        ),
        section(
            "time",
            "Over time",
            "VPIN is lopsidedness in volume time and flags a regime; activity is the rate of prints over its mean.",
            figure("vpin", "VPIN", "share of volume"),
            figure("activity", "Activity", "times the mean, log scale"),
        ),
    )
    return page(
        title=f"flatbook · order flow · {market}",
        body=Html("".join(body)),
        script="flow.js",
        data=flow_charts(view, history),
    )


def _header(view: FlowView, market: str) -> Html:
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", "Order flow", tag("span", f" on {market}", css="quiet")),
        tag("p", f"As of {formats.moment(view.estimates.now_ns)} UTC", css="lead"),
    )


def _tiles(view: FlowView, history: FlowHistory) -> Html:
    estimates, whole = view.estimates, view.nodes["all"]
    watched = estimates.exposure_years > 0
    due = float((estimates.arrivals_per_year * estimates.exposure_years)[watched].sum())
    decay = float((estimates.decay * view.evidence.arrivals.reshape(estimates.decay.shape)).sum())
    total = float(view.evidence.arrivals.sum())
    edge, moves = view.markouts[0].of(whole, EDGE_UNITS), [samples.of(whole, UNITS) for samples in view.markouts]
    at = min(range(len(moves)), key=lambda number: abs(view.horizons_s[number] - 60))
    fitted = float((estimates.status[watched] == FitStatus.FITTED).mean()) if watched.any() else math.nan
    exposure = float(estimates.exposure_years[watched].sum()) / SIDES * DAYS
    return tag(
        "div",
        tile("Prints", formats.number(view.prints), f"{formats.share(view.misses)} of them short of fair value"),
        tile(
            "A, per option", f"{formats.number(due / exposure if exposure else None, 2)}", "fills a day at fair value"
        ),
        tile("k", formats.number(decay / total if total else None, 2), "e-folds a unit of depth, by prints"),
        tile("Buckets fitted", formats.share(fitted), "of those watched; the rest lean on their pool"),
        tile("Edge", formats.number(float(edge.mean[0]), 2), "units, of the makers on the tape"),
        tile(
            f"Move after {formats.age(view.horizons_s[at])}",
            formats.number(float(moves[at].mean[0]), 2),
            f"± {formats.number(float(moves[at].error[0]), 2)} units",
        ),
        tile("Charge, greatest", formats.number(float(view.losses.charge.max()), 2), "units, for adverse selection"),
        tile("VPIN", formats.number(history.vpin[-1] if len(history.vpin) else None, 2), "last seen"),
        css="tiles",
    )


def _estimates_table(view: FlowView) -> Html:
    columns = (
        Column("Bucket", is_number=False),
        Column("Side", is_number=False),
        Column("A", "a day, option"),
        Column("± %"),
        Column("k", "a unit"),
        Column("± %"),
        Column("Own", "share of A"),
        Column("Prints", "independent"),
        Column("Watched", "option-days"),
        Column("Age"),
        Column("Loss", "units"),
        Column("Charge", "units"),
        Column("Rests on", is_number=False),
    )
    most = np.argsort(-view.evidence.arrivals, kind="stable")[:TABLE_ROWS]
    return table(columns, [_estimate_row(view, *divmod(int(node), SIDES)) for node in most], css="dense log")


def _estimate_row(view: FlowView, bucket: int, side: int) -> tuple[str, ...]:
    found, losses = view.estimates, view.losses
    at = (bucket, side)
    says = REASONS[FitStatus(int(found.status[at]))]
    if losses.status[at] != LossStatus.FITTED:
        says = f"{says}; {LOSS_REASONS[LossStatus(int(losses.status[at]))]}"
    return (
        view.buckets.name(bucket),
        SIDE_NAMES[side],
        formats.number(float(found.arrivals_per_year[at]) / DAYS, 2),
        formats.number(100 * float(found.log_arrivals_error[at])),
        formats.number(float(found.decay[at]), 2),
        formats.number(100 * float(found.log_decay_error[at])),
        formats.share(float(found.own_weight[at]), 0),
        formats.number(float(found.prints[at]), 1),
        formats.number(float(found.exposure_years[at]) * DAYS),
        formats.age(float(found.age_s[at])),
        formats.number(float(losses.loss[at]), 2),
        formats.number(float(losses.charge[at]), 2),
        says,
    )
