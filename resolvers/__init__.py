"""What VoxQL does: the use cases, which know nothing of GraphQL."""
