"""flatbook: the inventory engine of a crypto-derivatives market maker."""

__version__ = "0.1.0"
