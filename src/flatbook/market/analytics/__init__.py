"""What a desk reads off a market: vol indices, skews, realised vols, deltas by convention, funding, settlement.

Pure functions of values and arrays. A smile is a fitted raw SVI slice; prices are undiscounted; a vol is a decimal per
square-root year of 365 days, except where a name says vol points.
"""
