"""Order flow as quoting needs it: how often takers come and how far they reach, what they know, how it leans."""
