"""What stays on disk: recorded sessions and their importers, the journal of a run, its series and its directory."""
