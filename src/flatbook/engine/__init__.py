"""The conductor: takes an event through every stage, in order, and says what should happen in the world."""
