"""VoxQL's use cases, independent of GraphQL."""
