"""The agent's side of the bridge; part of the wheel `voxql-bridge`."""
