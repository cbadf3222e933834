"""Every published margin figure, to its digits."""

import csv
from pathlib import Path

import numpy as np
import pytest

from flatbook.risk.margin.deribit_portfolio import DeribitPortfolio
from flatbook.risk.margin.derive_portfolio import DerivePortfolio
from flatbook.risk.margin.derive_standard import DeriveStandard
from flatbook.venues.margin import editions

from .columns import Row, contracts

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(name: str) -> list[dict[str, str]]:
    with (GOLDEN / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_deribits_documented_example() -> None:
    """docs.deribit.com, private/pme/simulate, of 17 June 2024: every figure it prints, in bitcoin."""
    index = 65_666.19
    model = editions("deribit_pm")[0].model
    assert isinstance(model, DeribitPortfolio)
    rows = [Row(forward=65_910.57), Row(forward=67_371.75, years=11 / 365)]
    size = np.array([0.314538364, -0.001187534])
    requirement = model.requirement(contracts(rows, index))
    (block,) = requirement.blocks
    perpetual = block.pnl_usd(block.features(np.array([size[0], 0.0]))) / index
    losses = [-0.0599120693, -0.0428915951, -0.0273511621, -0.0131057652, 0.0]
    assert perpetual[:15:3] == pytest.approx(losses, abs=1e-10)
    raw = size[0] * block.columns[0, :27:3] / index
    assert raw[5:] == pytest.approx([0.0120976294, 0.0232991381, 0.0337005390, 0.0433846019], abs=1e-10)
    extended = size[0] * block.columns[0, 27:35] / index
    assert extended == pytest.approx([-0.0599120693] * 2 + [0.0433846019] * 6, abs=1e-10)
    counted = block.pnl_usd(block.features(size)) / index
    assert counted[27:] == pytest.approx(np.zeros(8), abs=1e-16)
    assert counted[15:27] == pytest.approx(np.zeros(12), abs=1e-16)
    parts = {name: part.initial / index for name, part in requirement.parts(size).items()}
    assert parts["worst scenario"] == pytest.approx(0.05968587238095239, abs=1e-15)
    assert parts["roll shock"] == pytest.approx(0.00315725898, abs=1e-14)
    assert parts["delta shock"] == 0.0
    # The venue rounds its worst case to a billionth before it adds; the rest is to the printed digits.
    printed = 0.06284313098
    assert round(float(parts["worst scenario"]), 9) + parts["roll shock"] == pytest.approx(printed, abs=1e-14)
    matrix = requirement.margins(size)
    assert matrix.initial / index == pytest.approx(printed, abs=5e-10)
    assert matrix.maintenance / index == pytest.approx(0.050274504784, abs=5e-10)
    assert matrix.initial / index + model.mmp_share * 2.0 + 0.000018212 == pytest.approx(0.122861343, abs=1e-9)


@pytest.mark.parametrize("row", golden("pmrm2"), ids=lambda row: row["id"])
def test_derives_portfolio_vectors(row: dict[str, str]) -> None:
    """Net margin is the mark to market less the requirement and the haircuts."""
    model = editions("derive_pm")[0].model
    assert isinstance(model, DerivePortfolio)
    model = model.model_copy(update={"stable_usd": float(row["stable"])})
    parts = [row[name].split(";") if row[name] else [] for name in ("rights", "strikes", "vols", "sizes")]
    rows, size = [], []
    for right, strike, vol, quantity in zip(*parts, strict=True):
        years = float(row["seconds"]) / 31_536_000
        sign = 1.0 if right == "C" else -1.0
        rows.append(Row(sign, float(strike), years, float(row["forward"]), float(vol), rate=float(row["rate"])))
        size.append(float(quantity))
    if row["perpetual_price"]:
        rows.append(Row(forward=float(row["perpetual_price"])))
        size.append(float(row["perpetuals"]))
    spot, coins = float(row["spot"]), float(row["collateral"])
    requirement = model.requirement(contracts(rows, spot), coins)
    found = requirement.margins(np.array(size))
    worth = coins * spot / model.stable_usd
    initial_haircut, haircut = model.haircuts("BTC")
    worst = requirement.parts(np.array(size))["worst scenario"]
    assert -worst.initial == pytest.approx(float(row["worst"]), rel=1e-9)
    mtm = float(row["mtm"])
    assert mtm - found.initial - initial_haircut * worth == pytest.approx(float(row["initial"]), rel=1e-9)
    assert mtm - found.maintenance - haircut * worth == pytest.approx(float(row["maintenance"]), rel=1e-9)


@pytest.mark.parametrize("row", golden("derive_standard"), ids=lambda row: row["id"])
def test_derives_standard_margin(row: dict[str, str]) -> None:
    model = editions("derive_sm")[0].model
    assert isinstance(model, DeriveStandard)
    parts = [row[name].split(";") for name in ("rights", "strikes", "marks", "sizes")]
    rows, size = [], []
    for right, strike, mark, quantity in zip(*parts, strict=True):
        sign = 1.0 if right == "C" else -1.0
        rows.append(Row(sign, float(strike), 0.1, 2_010.0, mark=float(mark), in_coin=False))
        size.append(float(quantity))
    found = model.requirement(contracts(rows, 2_000.0)).margins(np.array(size))
    assert -found.initial == pytest.approx(float(row["initial"]), abs=1e-9)
    assert -found.maintenance == pytest.approx(float(row["maintenance"]), abs=1e-9)
