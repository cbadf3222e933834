"""All that changes in an engine, and who owns what."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.baselines.chain import FittedModel
from flatbook.decide.quoting import Quotes
from flatbook.domain.events import IndexTick
from flatbook.domain.instruments import DOLLAR
from flatbook.engine.attributing import CellBooks
from flatbook.engine.capital import Capital
from flatbook.engine.flow_watch import FlowWatch
from flatbook.engine.hedge_desk import HedgeDesk
from flatbook.engine.holding import LiveHoldings
from flatbook.engine.leaning import Leaning
from flatbook.engine.margin_limit import MarginLimit
from flatbook.engine.monitoring import Monitoring
from flatbook.engine.outputs import OutputDigest
from flatbook.engine.recording import Recorder
from flatbook.engine.rfq_desk import RfqDesk
from flatbook.engine.setup import HEDGING, MAKING, Setup
from flatbook.engine.stressing import NO_STRESS, LiveStress
from flatbook.engine.typical_vol import TypicalVol
from flatbook.execution.orders import Orders
from flatbook.execution.quote_table import QuoteTable
from flatbook.ledger.book import Ledger
from flatbook.market.away import AwayPerpetual
from flatbook.market.index_check import IndexCheck
from flatbook.market.market import Market
from flatbook.market.other_coins import Comovement, OtherCoins
from flatbook.risk.gate import BookRisk, Gate
from flatbook.risk.loss_stop import LossStop, Stage
from flatbook.risk.protection import MessageBudget, Protection
from flatbook.valuation.chain import ChainValues
from flatbook.valuation.explain import PnlBook
from flatbook.valuation.inventory import NOTHING_HELD, BookMeasures, Inventory
from flatbook.valuation.other_coins import with_others
from flatbook.valuation.risk_price import RiskPrice, no_risk_price

if TYPE_CHECKING:
    from flatbook.valuation.otc_book import OtcBook

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class State:
    """The engine between two events.

    now_ns          the engine's clock: the local time of the last event, never falling
    tick            the tick of the index that the event under way made known; None where it made none
    events          how many events were taken
    trades_seen     how many prints of others, once trading
    cells           coin carried and fees paid by strategy and expiry
    values          the chain as last valued; `spare` is the other buffer
    valued_basis    (slots,) the forwards' log bases that `values` were made with
    quotes          the last wanted quotes with their parts; None before the first
    passed          (4, rows) what of their grid might go out
    book            the book's exposures and Greeks as of `values`
    risk            the same as the gate bounds it
    flow            order flow as watched; None where the policy asks nothing of it
    capital         what margin costs; None where it costs nothing
    margin_limit    what margin and capital bound; None where they bound nothing
    quoting_model   the published model that quotes, where the policy names one
    refreshed_ns    when the price of risk or that model was last made, of `priced_rows` options with a smile
    stress          the last stress of the book as it is; `NO_STRESS` when something was booked since
    held            what is held by option and expiry, as of that stress, beside its bounds
    leaning         what coming near a hard bound costs
    desk            what the hedger remembers and has learnt
    largest_quote_coin      the largest quote that ever wanted to go out
    rfqs            requests for quotes; None where the policy answers none
    comovement      how other coins move with ours, as the price of risk was last made; None before, and without any
    otc             contracts over the counter that the run began with; None where it began with none
    is_opened       whether what the run begins with is booked
    outputs         running digest of everything that went out
    """

    setup: Setup
    market: Market
    ledger: Ledger
    inventory: Inventory
    pnl: PnlBook
    gate: Gate
    loss_stop: LossStop
    protection: Protection
    index_check: IndexCheck
    budget: MessageBudget
    typical_vol: TypicalVol
    orders: Orders
    table: QuoteTable
    recorder: Recorder
    monitoring: Monitoring
    desk: HedgeDesk
    flow: FlowWatch | None = None
    capital: Capital | None = None
    margin_limit: MarginLimit | None = None
    cells: CellBooks = field(default_factory=CellBooks)
    values: ChainValues = field(default_factory=ChainValues)
    spare: ChainValues = field(default_factory=ChainValues)
    valued_basis: Floats = field(default_factory=lambda: np.zeros(0))
    quotes: Quotes | None = None
    passed: Ints = field(default_factory=lambda: np.zeros((4, 0), np.int64))
    book: BookMeasures = NOTHING_HELD
    risk: BookRisk = field(default_factory=lambda: BookRisk(0.0, 0.0, 0.0, 0.0, Stage.NORMAL))
    risk_price: RiskPrice = field(default_factory=no_risk_price)
    rfqs: RfqDesk | None = None
    quoting_model: FittedModel | None = None
    now_ns: int = 0
    tick: IndexTick | None = None
    events: int = 0
    trades_seen: int = 0
    refreshed_ns: int = 0
    priced_rows: int = 0
    stress: LiveStress = NO_STRESS
    held: LiveHoldings = field(default_factory=LiveHoldings)
    leaning: Leaning = field(default_factory=Leaning)
    largest_quote_coin: float = 0.0
    comovement: Comovement | None = None
    otc: "OtcBook | None" = None
    is_opened: bool = False
    outputs: OutputDigest = field(default_factory=OutputDigest)

    @classmethod
    def start(cls, setup: Setup) -> "State":
        """An empty book with its collateral deposited."""
        market, model = Market(setup.underlying, setup.reference, setup.market_model), setup.market_model
        if coins := setup.policy.hedging.correlated:
            models = model.covariance, model.perpetual, model.meter
            market.others = OtherCoins(setup.underlying, coins, setup.reference, models)
        ledger = Ledger(setup.reference, (MAKING, HEDGING))
        if (away := setup.away) is not None:
            market.away = AwayPerpetual(away.instrument, away.model)
            ledger.deposit(away.name, setup.underlying, away.capital_units, setup.trade_from_ns)
        inventory = Inventory(market.universe.capacity, len(setup.others))
        if setup.capital_units:
            ledger.deposit(setup.venue, setup.underlying, setup.capital_units, setup.trade_from_ns)
        return cls(
            setup,
            market,
            ledger,
            inventory,
            PnlBook(),
            Gate(setup.policy.limits),
            LossStop(setup.policy.loss_stop),
            Protection(setup.policy.protection),
            IndexCheck(setup.policy.index_check),
            MessageBudget(setup.policy.protection),
            TypicalVol(),
            Orders(),
            QuoteTable(market.universe.capacity),
            Recorder(setup.sample_ns),
            Monitoring(setup.policy.monitors),
            HedgeDesk.of(setup.policy.hedging),
            FlowWatch.of(setup.policy),
            Capital.of(setup),
            MarginLimit.of(setup),
            rfqs=RfqDesk.of(setup.policy.rfq),
            is_opened=setup.book is None,
        )

    @property
    def perp_price_usd(self) -> float:
        """The hedge perpetual's price as valued: the index where its premium is not known."""
        return self.values.perp_usd

    def perpetual_usd(self, name: str) -> float:
        """The price, as valued, of a perpetual: paid in coin, here or elsewhere, in dollars, or another coin's."""
        if self.market.away is not None and name == self.market.away.instrument.name:
            return self.values.away_usd
        other = self.other_place(name)
        if other is not None:
            return float(self.values.others_usd[other])
        is_linear = self.setup.reference.instrument(name).contract.settle == DOLLAR
        return self.values.linear_usd if is_linear else self.values.perp_usd

    def other_place(self, name: str) -> int | None:
        """The place of another coin's perpetual among those that may hedge; None of any other instrument."""
        others = self.market.others
        return None if others is None else others.place_of.get(name)

    @property
    def knows_market(self) -> bool:
        """Whether there is an option and an index to value it by."""
        return self.market.universe.count > 0 and bool(np.isfinite(self.market.forwards.index_usd))

    @property
    def is_trading(self) -> bool:
        """Whether the warm-up is over and the market is known well enough to value anything."""
        return self.knows_market and self.now_ns >= self.setup.trade_from_ns

    def make_room(self) -> None:
        """Lets what has a row an option grow with the universe."""
        capacity = self.market.universe.capacity
        if capacity > len(self.inventory.size_coin):
            self.inventory.grow(capacity)
            self.table.grow(capacity)

    @property
    def widen(self) -> float:
        """The factor on spreads: the largest that the loss stop, protection or the flow's regime asks for."""
        stopped = self.setup.policy.loss_stop.widen_factor if self.risk.stage >= Stage.WIDEN else 1.0
        return max(stopped, self.protection.widen, self.flow.widen if self.flow is not None else 1.0)

    def measure(self) -> BookMeasures:
        """The book's exposures at the last valuation, contracts over the counter among them."""
        book = self.inventory.measure(self.values)
        if self.otc is not None:
            book = self.otc.add_to(book)
        if self.market.others is None:
            return book
        beta = None if self.comovement is None else self.comovement.beta
        return with_others(book, beta, self.inventory.others_usd(self.values))

    @property
    def others_delta_usd(self) -> float:
        """What of the book's delta is other coins', moving with ours."""
        return 0.0 if self.comovement is None else float(self.comovement.beta @ self.book.others_usd)

    def equity_usd(self) -> float:
        """The book's worth in USD at the last valuation, collateral apart."""
        listed_usd = self.inventory.equity_coin(self.values, self.perp_price_usd) * self.values.index_usd
        return listed_usd + self.otc_usd

    @property
    def otc_usd(self) -> float:
        """What contracts over the counter are worth."""
        return 0.0 if self.otc is None else self.otc.value_usd

    def sha256(self) -> str:
        """Digest of the whole state: the ledger's books, the clock, and everything that went out."""
        stands = f"{self.now_ns}:{self.events}:{self.orders.sent}:{self.loss_stop.stage}"
        return self.outputs.plus(self.ledger.digest_bytes(), stands.encode())
