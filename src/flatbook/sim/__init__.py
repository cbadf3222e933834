"""The other side: venues to trade against, on a recorded tape or in a market drawn from one seed."""

from flatbook.sim.drawn import MarketParameters
from flatbook.sim.exchange import RecordedVenue
from flatbook.sim.fills import FillModel, FillRules, FillTally
from flatbook.sim.gateway import VenueTerms
from flatbook.sim.latency import Delay, Latency
from flatbook.sim.market import SimulatedVenue
from flatbook.sim.perpetual import PerpetualTerms

__all__ = [
    "Delay",
    "FillModel",
    "FillRules",
    "FillTally",
    "Latency",
    "MarketParameters",
    "PerpetualTerms",
    "RecordedVenue",
    "SimulatedVenue",
    "VenueTerms",
]
