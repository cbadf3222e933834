"""What a standing book may lose over a horizon: VaR and expected shortfall by several methods, and how they held.

`history` reads factors, `sources` makes scenarios of them, `revaluation` and `taylor` turn scenarios into P&L by
position, `measures` P&L into risk; `backtests` judges forecasts and `rolling` makes them over a recorded history.
"""
