"""Everything between VoxQL and the agents that hear and speak for it."""
