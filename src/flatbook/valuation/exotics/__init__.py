"""Contracts beyond Black's formula: exotics, two assets, and perpetuals; one flat vol, rate and carry each."""

from flatbook.valuation.exotics.pricing import VOL_LIMITS, Valuation, implied_vol, price, repricer, value
from flatbook.valuation.exotics.quantlib import EngineError

__all__ = ["VOL_LIMITS", "EngineError", "Valuation", "implied_vol", "price", "repricer", "value"]
