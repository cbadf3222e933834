"""Composition: a request becomes a market, an engine, a journal and a report."""
