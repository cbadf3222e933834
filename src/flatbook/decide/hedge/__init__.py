"""Hedging: what to trade, how to trade it, and when our own trading has become the risk.

`best` is the one decision: the trades that minimise R(x + B'n) + cost(n) over a `HedgeSet` (`instruments`), by the
active set in `solver`. `rules` are the classical bands that it is held to. `execution`, `almgren_chriss`,
`obizhaeva_wang` and `impact` say how a clip is worked and what it moves; `stability` measures whether the hedging feeds
itself, and slows it.
"""
