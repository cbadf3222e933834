"""What a run is made of, before it starts."""

from dataclasses import dataclass, field
from functools import cached_property

from flatbook.domain.instruments import DOLLAR
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.engine.policy import Policy
from flatbook.market.market import MarketModel
from flatbook.market.perpetual import PerpetualModel
from flatbook.risk.margin.model import MarginModel
from flatbook.valuation.inventory import STRATEGY_NAMES
from flatbook.valuation.portfolio import Portfolio

MAKING, HEDGING = STRATEGY_NAMES


@dataclass(frozen=True)
class AwayVenue:
    """Another venue to hedge at: its name, its inverse perpetual and how that is believed to behave.

    capital_units   collateral deposited there at the start, in units of the underlying
    """

    name: str
    instrument: Instrument
    model: PerpetualModel
    capital_units: int


@dataclass(frozen=True)
class Setup:
    """One underlying on one venue, hedged with its perpetual.

    trade_from_ns   before this the market is watched and nothing is quoted
    capital_units   collateral deposited at the start, in units of the underlying; it is not part of the book
    book            what the run begins with, booked when trading begins; its balances are not read
    margin          whose margin a fill ties up; None where the policy neither charges for it nor bounds it
    cheaper_side_discount   of a package's fees, by the venue's rule (`decide.rfq.package.value_package`)
    funding_is_told whether the venue tells what funding it paid, so that none is reckoned from its rates
    away            where else the book may be hedged; None where nowhere
    is_making       whether options are quoted; else the book is only hedged, and no flow takes its risk away
    markout_ns      for how long after a fill its P&L counts as adverse selection
    sample_ns       spacing of the recorded series
    """

    underlying: str
    venue: str
    reference: ReferenceData
    policy: Policy
    trade_from_ns: int
    capital_units: int = 0
    book: Portfolio | None = None
    margin: MarginModel | None = None
    cheaper_side_discount: float = 0.0
    funding_is_told: bool = False
    away: AwayVenue | None = None
    is_making: bool = True
    market_model: MarketModel = field(default_factory=MarketModel)
    markout_ns: int = NS_PER_MINUTE
    sample_ns: int = NS_PER_MINUTE
    stress_every_ns: int = NS_PER_MINUTE

    @cached_property
    def hedge(self) -> Instrument:
        """The perpetual that hedges."""
        return self.reference.instrument(f"{self.underlying}-PERPETUAL")

    @cached_property
    def linear(self) -> Instrument:
        """The perpetual that is paid in dollars."""
        return self.reference.instrument(f"{self.underlying}_{DOLLAR}-PERPETUAL")

    @cached_property
    def others(self) -> tuple[Instrument, ...]:
        """Perpetuals of other coins that may hedge, in the order of every array of theirs."""
        coins = self.policy.hedging.correlated
        return tuple(self.reference.instrument(f"{coin}_{DOLLAR}-PERPETUAL") for coin in coins)

    @cached_property
    def spot(self) -> Instrument:
        """The coin itself, against dollars."""
        return self.reference.instrument(f"{self.underlying}_{DOLLAR}")
