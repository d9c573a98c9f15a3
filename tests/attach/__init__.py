"""`voxql_bridge.attach`: its parts alone, then in real rooms with real agents."""
