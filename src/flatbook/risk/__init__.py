"""What we may do: hard limits, the loss stop, and the gate that every quote and order must pass."""
