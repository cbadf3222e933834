"""The numbers a valuation answers with, and the units they are printed in."""

from __future__ import annotations

from typing import Final, NamedTuple

DAYS_PER_YEAR: Final = 365.0
VOL_POINT: Final = 0.01


class Measures(NamedTuple):
    """Price and Greeks of one contract, one unit long.

    In natural units: per 1 of the asset as quoted (spot or forward), per 1.00 of vol, per 1.00 of rate and per year of
    calendar time. rho keeps the dividend yield of an asset quoted by spot, and the forward of one quoted by forward.
    """

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float
    vanna: float
    volga: float
    charm: float
    speed: float
    zomma: float
    color: float


class SecondAsset(NamedTuple):
    """Greeks to a contract's second asset, in the units of `Measures`."""

    delta2: float
    gamma2: float
    vega2: float


PRINTED_SCALE: Final = Measures(
    price=1.0,
    delta=1.0,
    gamma=1.0,
    vega=VOL_POINT,
    theta=1.0 / DAYS_PER_YEAR,
    rho=1.0,
    vanna=VOL_POINT,
    volga=VOL_POINT**2,
    charm=1.0 / DAYS_PER_YEAR,
    speed=1.0,
    zomma=VOL_POINT,
    color=1.0 / DAYS_PER_YEAR,
)
"""What natural units are multiplied by for people to read."""

PRINTED_UNITS: Final[dict[str, str]] = {
    "price": "quote currency per contract on one unit; coin for style inverse",
    "delta": "d price / d asset, the asset as quoted (spot or forward)",
    "gamma": "d delta / d asset",
    "vega": "d price per 0.01 of vol",
    "theta": "d price per calendar day (1/365 year)",
    "rho": "d price per 1.00 of rate; the yield stays for an asset by spot, the forward for one by forward",
    "vanna": "d delta per 0.01 of vol",
    "volga": "d vega per 0.01 of vol",
    "charm": "d delta per calendar day",
    "speed": "d gamma / d asset",
    "zomma": "d gamma per 0.01 of vol",
    "color": "d gamma per calendar day",
}
"""Units of a printed row, by column; the Greeks of style inverse are those of its value in USD."""
