"""What hedging rules cost and what risk they remove, on many paths; and what happens when hedging moves the market.

`paths` and `book` are the stage: an index with its smile, and options along it. `contest` holds rules against each
other as a frontier of cost and risk. `feedback` trades in a market that answers.
"""
