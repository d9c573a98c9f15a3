"""The server's side of the bridge: where agents and workers connect."""
