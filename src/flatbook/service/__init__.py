"""What runs beside the engine for people to look at: the live page, on this machine only and read-only."""
