"""Price-time matching of one instrument's orders, in integers: no clock, no chance, no money."""

from flatbook.sim.matching.book import Book, LevelChange, Outcome, Resting, SelfTrade, TimeInForce, Trade

__all__ = ["Book", "LevelChange", "Outcome", "Resting", "SelfTrade", "TimeInForce", "Trade"]
