"""A standing book replayed through a dated crisis: revalued in full, hedged by a rule, in a market that answers.

`path` is what happened, as moves; `venue` the market that hedges trade in; `rules` when they do; `account` margin and
forced closing. `replay` goes along the path, and `outcome` is what came of it.
"""
