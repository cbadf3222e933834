"""The exchange as a server that speaks Deribit's language: asked, answered and told; all but `server` is pure."""
