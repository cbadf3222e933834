"""A whole exchange in memory: books, accounts, marks, margin and settlement; pure, driven by calls and a clock.

`exchange.Exchange` is the venue. `crowd` and `tape` are the others who trade on it.
"""
