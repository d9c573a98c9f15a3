"""The server's side of the bridge, to which agents and workers connect."""
