"""Venues: a pure codec each, and a client of its own."""
