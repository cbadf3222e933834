"""The nouns: units, instruments, events, intents, errors. Frozen values; no I/O, no arrays."""
