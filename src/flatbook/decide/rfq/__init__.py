"""Requests for quotes: a two-sided price for a whole package of legs, from the charge of its total risk."""
