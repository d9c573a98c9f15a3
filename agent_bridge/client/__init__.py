"""The agent's side of the bridge; a part of the wheel `voxql-bridge`."""
