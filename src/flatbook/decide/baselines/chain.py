"""The published models on a whole chain: what each is told of it, and the distances at which it then quotes.

All are told the same of the market as the factor-skew quoter: Σ of the risk factors, the flow at our quotes, a risk
aversion. What they make of it differs. Three see every option as an asset of its own, of which only its own contracts
are held: its variance is that of its exposures. One sees the book's total vega, one its net delta, gamma and vega.
"""

from dataclasses import dataclass

import numpy as np

from flatbook.decide.baselines import baldacci_bergault_gueant as vega_hjb
from flatbook.decide.baselines.avellaneda_stoikov import AvellanedaStoikov
from flatbook.decide.baselines.baldacci_bergault_gueant import VegaBook, VegaValue
from flatbook.decide.baselines.glft import Glft
from flatbook.decide.baselines.intensity import Distances, ExponentialIntensity, Floats, LogisticIntensity
from flatbook.decide.baselines.ladder import stationary_falls
from flatbook.decide.baselines.stoikov_saglam import LinearDemand
from flatbook.decide.policy import BASELINES, BaselinePolicy
from flatbook.kernels.chain import TENORS
from flatbook.valuation.risk_price import Liquidity

LEVELS = [2 + 3 * tenor for tenor in range(TENORS)]
"""The risk factors of vol level, one a tenor."""

_HOURS_PER_YEAR = 8760.0
_VEGA_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Dealer:
    """Who quotes: a model by name, its parameters, contracts a quote, and γ per USD."""

    model: str
    parameters: BaselinePolicy
    size_coin: float
    risk_aversion_per_usd: float

    @property
    def trade_aversion(self) -> float:
        """γ of a trade of the quote's size, per USD of a contract's price."""
        return self.risk_aversion_per_usd * self.size_coin

    @property
    def horizon_years(self) -> float:
        """How far ahead inventory is a risk."""
        return self.parameters.horizon_hours / _HOURS_PER_YEAR


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The options to quote, and the book.

    Shapes      loading (n, FACTORS) USD per unit of factor; liquidity and held_coin (n,); exposure (FACTORS,), or
                (n, FACTORS) where each row stands in a book of its own
    """

    loading: Floats
    liquidity: Liquidity
    held_coin: Floats
    exposure: Floats

    @property
    def vega_usd(self) -> Floats:
        """Of a contract, per 1.00 of vol, all tenors; (n,)."""
        return np.asarray(self.loading[:, LEVELS].sum(axis=1))

    @property
    def fills(self) -> ExponentialIntensity:
        """The flow at our quotes."""
        return ExponentialIntensity(self.liquidity.arrivals_per_year, self.liquidity.decay_per_usd)


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A dealer, and what it keeps from one refresh to the next.

    covariance      (FACTORS, FACTORS) per year
    vol_of_vol      one number for all tenors: of the vol that the flow's own mix of vegas is exposed to
    vega_value      what vega_hjb makes of the book's vega; None with other models
    """

    dealer: Dealer
    covariance: Floats
    vol_of_vol: float
    vega_value: VegaValue | None


def fit_model(dealer: Dealer, covariance: Floats, rows: Rows) -> FittedModel:
    """Takes the covariance and the flow in; slow only for vega_hjb, whose equation is solved here."""
    mix = (rows.liquidity.arrivals_per_year * rows.loading[:, LEVELS].T).sum(axis=1)
    mix = mix / mix.sum()
    vol_of_vol = float(np.sqrt(mix @ covariance[np.ix_(LEVELS, LEVELS)] @ mix))
    if dealer.model != "vega_hjb":
        return FittedModel(dealer, covariance, vol_of_vol, None)
    book = _vega_book(dealer, vol_of_vol, rows)
    value = vega_hjb.solve(book, dealer.horizon_years, tolerance=_VEGA_TOLERANCE)
    return FittedModel(dealer, covariance, vol_of_vol, value)


def distances_usd(model: FittedModel, rows: Rows) -> tuple[Distances, Floats]:
    """Where each option is quoted, USD per contract from fair value; and the part of it that is for the fill itself.

    Shapes      (n,) each
    Errors      KeyError for a model of no name in `decide.policy.BASELINES`
    """
    return _MODELS[model.dealer.model](model, rows)


def _avellaneda_stoikov(model: FittedModel, rows: Rows) -> tuple[Distances, Floats]:
    # Quotes of a size z are those of one unit at γ z, and inventory counted in z.
    dealer = model.dealer
    asset = AvellanedaStoikov(_own_vol(model, rows), rows.fills, dealer.trade_aversion)
    quotes = asset.distances(rows.held_coin / dealer.size_coin, dealer.horizon_years)
    return quotes, rows.fills.spread(dealer.trade_aversion)


def _glft(model: FittedModel, rows: Rows) -> tuple[Distances, Floats]:
    dealer = model.dealer
    asset = Glft(_own_vol(model, rows), rows.fills, dealer.trade_aversion)
    return asset.closed_form_distances(rows.held_coin / dealer.size_coin), rows.fills.spread(dealer.trade_aversion)


def _cartea_jaimungal(model: FittedModel, rows: Rows) -> tuple[Distances, Floats]:
    """Far from any horizon, exactly, the running penalty being what a variance of that size costs at γ."""
    dealer, fills = model.dealer, rows.fills
    lots = rows.held_coin / dealer.size_coin
    penalty = 0.5 * dealer.trade_aversion * _own_vol(model, rows) ** 2
    ratio = np.asarray(fills.decay * penalty / (fills.arrivals * fills.constant()))
    bound = max(int(dealer.parameters.position_bound_coin / dealer.size_coin), 1)
    spread = fills.spread()
    bid, ask = (spread + stationary_falls(ratio, side * lots, bound) / fills.decay for side in (1, -1))
    return Distances(np.asarray(bid), np.asarray(ask)), spread


def _vega_hjb(model: FittedModel, rows: Rows) -> tuple[Distances, Floats]:
    assert model.vega_value is not None
    book = _vega_book(model.dealer, model.vol_of_vol, rows)
    vega = rows.exposure[..., LEVELS].sum(axis=-1)
    return vega_hjb.distances(book, model.vega_value, vega), book.fills.best_distance(0.0)


def _stoikov_saglam(model: FittedModel, rows: Rows) -> tuple[Distances, Floats]:
    """Theorems 2 and 4 at once: delta, gamma and total vega as the three risks, each by itself, to the horizon.

    Demand is the line that is best met where the flow's exponential is; the paper's γ weighs variance without a half.
    """
    dealer = model.dealer
    variance = np.append(np.diag(model.covariance)[:2], model.vol_of_vol**2)
    weight = 0.5 * dealer.risk_aversion_per_usd * dealer.horizon_years * variance
    own = np.column_stack([rows.loading[:, 0] * dealer.parameters.delta_share, rows.loading[:, 1], rows.vega_usd])
    delta, vega = rows.exposure[..., 0] * dealer.parameters.delta_share, rows.exposure[..., LEVELS].sum(axis=-1)
    net = np.stack([delta, rows.exposure[..., 1], vega], axis=-1)
    fills = rows.fills
    demand = LinearDemand(fills.arrivals, 0.5 * fills.arrivals * fills.decay)
    marginal = 2.0 * (own * (weight * net)).sum(axis=1)
    return demand.premiums(marginal, dealer.size_coin * own**2 @ weight), demand.best_premium()


_MODELS = {
    "avellaneda_stoikov": _avellaneda_stoikov,
    "glft": _glft,
    "cartea_jaimungal": _cartea_jaimungal,
    "vega_hjb": _vega_hjb,
    "stoikov_saglam": _stoikov_saglam,
}
assert tuple(_MODELS) == BASELINES


def _own_vol(model: FittedModel, rows: Rows) -> Floats:
    """Of each option by itself, USD per square root of a year; of its delta only what is not hedged."""
    loading = rows.loading.copy()
    loading[:, 0] *= model.dealer.parameters.delta_share
    return np.asarray(np.sqrt(np.einsum("nf,fg,ng->n", loading, model.covariance, loading)))


def _vega_book(dealer: Dealer, vol_of_vol: float, rows: Rows) -> VegaBook:
    """The logistic flow that at fair value is the believed one, and far from it falls as fast."""
    odds = dealer.parameters.fill_log_odds
    peak = rows.liquidity.arrivals_per_year * (1.0 + np.exp(odds))
    return VegaBook(
        rows.vega_usd,
        np.full(len(peak), dealer.size_coin),
        LogisticIntensity(peak, odds, rows.liquidity.decay_per_usd),
        vol_of_vol,
        dealer.risk_aversion_per_usd,
        100.0 * dealer.parameters.vega_bound_usd_per_vol_pt,
    )
