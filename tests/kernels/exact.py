"""Black's formula in 60-digit arithmetic: the witness of the accuracy tests."""

from dataclasses import dataclass

import mpmath as mp  # type: ignore[import-untyped]

mp.mp.dps = 60


@dataclass(frozen=True)
class Exact:
    """d1, d2 and n(d1) of one option, with the price and Greeks they give, undiscounted in USD."""

    forward: mp.mpf
    strike: mp.mpf
    vol: mp.mpf
    years: mp.mpf
    sign: int

    @property
    def v(self) -> mp.mpf:
        return self.vol * mp.sqrt(self.years)

    @property
    def d1(self) -> mp.mpf:
        return mp.log(self.forward / self.strike) / self.v + self.v / 2

    @property
    def d2(self) -> mp.mpf:
        return self.d1 - self.v

    @property
    def price(self) -> mp.mpf:
        return self.sign * (self.forward * cdf(self.sign * self.d1) - self.strike * cdf(self.sign * self.d2))

    def greeks(self) -> dict[str, mp.mpf]:
        """Rows of `black.FULL_ROWS`."""
        f, t, sigma, d1, d2 = self.forward, self.years, self.vol, self.d1, self.d2
        density = mp.exp(-d1 * d1 / 2) / mp.sqrt(2 * mp.pi)
        gamma, vega = density / (f * self.v), f * density * mp.sqrt(t)
        return {
            "price": self.price,
            "delta": self.sign * cdf(self.sign * d1),
            "gamma": gamma,
            "vega": vega,
            "theta": -f * density * sigma / (2 * mp.sqrt(t)),
            "vanna": -density * d2 / sigma,
            "volga": vega * d1 * d2 / sigma,
            "charm": density * d2 / (2 * t),
            "speed": -gamma / f * (d1 / self.v + 1),
            "zomma": gamma * (d1 * d2 - 1) / sigma,
            "color": gamma * (1 - d1 * d2) / (2 * t),
        }

    def natural_units(self) -> dict[str, mp.mpf]:
        """The size that each row has over all strikes, up to a small number: errors are told in these."""
        f, t, sigma, v = self.forward, self.years, self.vol, self.v
        wide = 1 + v  # d2 = d1 - v: what it multiplies is as large as v where the density is
        return {
            "price": max(f, self.strike),
            "delta": mp.mpf(1),
            "gamma": 1 / (f * v),
            "vega": f * mp.sqrt(t),
            "theta": f * sigma / mp.sqrt(t),
            "vanna": wide / sigma,
            "volga": wide * f * mp.sqrt(t) / sigma,
            "charm": wide / t,
            "speed": wide / (f * v) ** 2,
            "zomma": wide / (f * v * sigma),
            "color": wide / (f * v * t),
        }


def cdf(x: mp.mpf) -> mp.mpf:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def option(forward: float, strike: float, vol: float, years: float, sign: float) -> Exact:
    return Exact(mp.mpf(forward), mp.mpf(strike), mp.mpf(vol), mp.mpf(years), int(sign))
