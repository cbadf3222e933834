"""A policy whole: a maker as one file of data.

Those that ship, three generations of the craft and the published models, are files of this shape: copy one, edit it.
"""

from pydantic import Field

from flatbook.decide.hedge.stability import StabilityPolicy
from flatbook.decide.policy import BaselinePolicy, FlowPolicy, HedgingPolicy, QuotingPolicy, RiskPricePolicy
from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.domain.config import Section
from flatbook.market.index_check import IndexCheckPolicy
from flatbook.risk.limits import LimitPolicy, LossStopPolicy
from flatbook.risk.monitors import MonitorPolicy
from flatbook.risk.protection_policy import ProtectionPolicy


class Policy(Section):
    """A maker, whole."""

    name: str = Field(description="how reports and run directories call it")
    description: str = Field(description="what it does, in a sentence")
    quoting: QuotingPolicy
    flow: FlowPolicy = FlowPolicy()
    risk_price: RiskPricePolicy = RiskPricePolicy()
    baseline: BaselinePolicy = BaselinePolicy()
    hedging: HedgingPolicy
    stability: StabilityPolicy = StabilityPolicy()
    rfq: RfqPolicy = RfqPolicy()
    limits: LimitPolicy = LimitPolicy()
    loss_stop: LossStopPolicy = LossStopPolicy()
    protection: ProtectionPolicy = ProtectionPolicy()
    index_check: IndexCheckPolicy = IndexCheckPolicy()
    monitors: MonitorPolicy = MonitorPolicy()
