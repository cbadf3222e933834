"""A hedge venue replayed with its order book: the recording, the terms, and what a live feed would say."""
