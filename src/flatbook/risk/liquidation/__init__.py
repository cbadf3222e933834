"""Liquidation: what a venue does with accounts that are short of margin, and who pays where margin did not suffice.

`state` holds a venue's money and lots in integers and has the one way they move; `incremental`, `auction`, `fund` and
`deleverage` are the steps, `waterfall` their order; `insolvency` runs it along paths of prices, behind an engine that
is late or mis-values collateral; `prices` has the closed forms of one position.
"""
