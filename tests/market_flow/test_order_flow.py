"""Flow in one place: each event told once, what quoting asks for, and what the price of risk makes of it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.market.flow.buckets import NOWHERE, DepthUnit
from flatbook.market.flow.intensities import IntensityModel
from flatbook.market.flow.markouts import ChainColumns
from flatbook.market.flow.order_flow import Contracts, FlowModel, OrderFlow
from flatbook.valuation.risk_price import Liquidity, quadratic_risk_price

Floats = NDArray[np.float64]

START_NS = 1_743_000_000 * NS_PER_SECOND
N = 3
CONTRACTS = Contracts(np.array([10.0, 10.0, -1.0]) / 365, np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0]))


def chain(fair: float = 0.05, rows: int = N) -> ChainColumns:
    return ChainColumns(np.full(rows, fair), np.full(rows, 0.5), np.full(rows, 0.05), np.zeros(rows))


def started(model: FlowModel | None = None) -> OrderFlow:
    flow = OrderFlow(model or FlowModel())
    flow.advance(START_NS)
    flow.see_chain(chain(), CONTRACTS)
    return flow


def test_a_print_reaches_everything_that_counts_prints() -> None:
    flow = started()
    unit = float(DepthUnit().in_coin(np.array(0.05)))
    flow.take_print(0, 1, 0.05 + 1.2 * unit, 0.3)
    evidence = flow.intensities.evidence()
    node, column = np.argwhere(evidence.stopped)[0].tolist()
    assert flow.model.buckets.name(node // 2) == "8–15 d call -0.25–0.25"
    assert (node % 2, column) == (1, 2)
    assert evidence.stopped[node, column] == pytest.approx(0.3)
    assert flow.vpin._open_volume == pytest.approx(0.3 * 0.05)
    assert flow.imbalance.net(START_NS)[4] == pytest.approx(0.3 * 0.05)
    flow.advance(START_NS + 70 * NS_PER_SECOND)
    flow.see_chain(chain(), CONTRACTS)
    found = flow.prints.samples(2, START_NS + NS_PER_HOUR)
    assert found.worth[flow.prints.nodes["all"]][0] == pytest.approx(1, abs=0.02)


def test_a_print_larger_than_our_quote_fills_it_once() -> None:
    flow = started(FlowModel(quote_size=2.0))
    for size in (1.0, 500.0):
        flow.take_print(0, 1, 0.05, size)
    assert flow.intensities.evidence().arrivals.sum() == pytest.approx(1.5)


def test_a_print_at_our_quote_is_censored_there() -> None:
    flow = started()
    flow.take_print(0, -1, 0.0499, 1.0, at_our_quote=True)
    evidence = flow.intensities.evidence()
    assert evidence.censored.sum() == 1
    assert evidence.stopped.sum() == 0


def test_a_trade_is_measured_against_the_chain_before_its_news() -> None:
    """The same print counts the same whether or not its own news comes at once."""
    flow = started()
    flow.advance(START_NS + NS_PER_SECOND)
    flow.take_print(0, 1, 0.0502, 1.0)
    flow.see_chain(chain(0.0502), CONTRACTS)
    assert flow.intensities.misses == 0
    assert flow.intensities.evidence().path.sum() > 0


def test_a_horizon_is_measured_as_of_its_end_and_not_by_later_news() -> None:
    flow = started()
    flow.take_print(0, 1, 0.05, 1.0)
    flow.advance(START_NS + 2 * NS_PER_SECOND)
    flow.see_chain(chain(0.08), CONTRACTS)  # the first news after the second was over
    found = flow.prints.samples(0, START_NS + 24 * NS_PER_HOUR)
    assert found.mean[flow.prints.nodes["all"]][0, 0] == 0


def test_fills_are_kept_apart_from_prints() -> None:
    flow = started()
    flow.take_fill(0, -1, 0.051, 1.0)
    assert not flow.intensities.evidence().table.any()
    flow.advance(START_NS + 61 * NS_PER_SECOND)
    flow.see_chain(chain(), CONTRACTS)
    later_ns = START_NS + NS_PER_HOUR
    assert flow.fills.samples(2, later_ns).worth.sum() > 0
    assert flow.prints.samples(2, later_ns).worth.sum() == 0


@pytest.mark.parametrize("row", [2, 99])
def test_the_expired_and_the_unvalued_are_passed_over(row: int) -> None:
    flow = started()
    assert flow.bucket[2] == NOWHERE
    flow.take_print(row, 1, 0.05, 1.0)
    flow.take_fill(row, 1, 0.05, 1.0)
    assert flow.intensities.prints == 0


def test_new_rows_are_taken_in_and_old_ones_stay() -> None:
    flow = started()
    more = Contracts(np.full(5, 10 / 365), np.zeros(5), np.ones(5))
    flow.advance(START_NS + NS_PER_SECOND)
    flow.see_chain(chain(rows=5), more)
    flow.take_print(4, 1, 0.05, 1.0)
    assert flow.intensities.prints == 1


def test_columns_are_copied() -> None:
    flow, columns = started(), chain()
    flow.see_chain(columns, CONTRACTS)
    columns.fair_coin[:] = 9.0
    assert flow.chain.fair_coin.tolist() == [0.05] * N


def test_what_the_price_of_risk_asks_for_is_there() -> None:
    """Each option's rate and decay make a `Liquidity`; flow that is twice as plentiful makes risk cheaper."""
    loading = np.array([[5_000.0, 100.0], [2_000.0, 300.0]])
    covariance = np.diag([0.3, 0.04])
    costs = []
    for belief in (500.0, 1_000.0):
        flow = started(FlowModel(intensities=IntensityModel(belief_arrivals=belief)))
        rate, decay = flow.estimate().of_rows(flow.bucket[:2], flow.unit_coin()[:2] * 80_000.0)
        np.testing.assert_allclose(rate, belief)
        np.testing.assert_allclose(decay * flow.unit_coin()[:2] * 80_000.0, 1.0)
        risk_price = quadratic_risk_price(covariance, loading, Liquidity(rate, decay, np.ones(2)), 1e-4)
        costs.append(risk_price.cost_usd(np.array([1e5, 1e4])))
    assert costs[1] == pytest.approx(costs[0] / 2**0.5, rel=1e-6)


def test_the_charge_is_that_of_our_fills_about_the_tape() -> None:
    flow = started()
    found = flow.toxicity()
    charge = found.charge_coin(flow.bucket, flow.unit_coin(), 0)
    assert charge.shape == (N,)
    assert charge[2] == 0
    assert (charge[:2] > 0).all()


def test_how_flow_is_now() -> None:
    flow = started()
    calm = flow.regime()
    assert np.isnan(calm.vpin)
    assert np.isnan(calm.imbalance).all()
    assert calm.activity == pytest.approx(1.0)
    for second in range(60):
        flow.advance(START_NS + second * NS_PER_SECOND)
        flow.take_print(0, 1, 0.0501, 400.0)
    busy = flow.regime()
    assert busy.activity > 3
    assert busy.imbalance[4] > 5
    assert busy.vpin == pytest.approx(1.0)


def test_a_clock_that_runs_backwards_is_refused() -> None:
    with pytest.raises(BadInputError, match="backwards"):
        started().advance(START_NS - 1)
