"""What we are doing: the order lifecycle as a table, and our resting quotes as another."""
