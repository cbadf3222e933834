"""Margin: what venues ask for of a holding, as a function that takes many accounts and many orders at once.

`contracts` is what a model looks at, by column; `requirement` the shape all models have; a module a model; `account`
adds collateral, working orders and the distance to liquidation. Parameters are dated data of the venues' side.
"""
