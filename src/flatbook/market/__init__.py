"""What the world says: which contracts there are, forwards, the volatility surface, how factors move together."""
