"""The published quoting models, to compare the factor-skew quoter with and for who wants them.

Each is a frozen value of parameters and pure functions from a state to how far bid and ask lie from fair value. Prices
and clocks are the caller's: any unit of price and of time will do, the same throughout.
"""
