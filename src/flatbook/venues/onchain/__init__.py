"""Venues that settle on a chain: quotes signed by EIP-712, and the key that signs them."""
