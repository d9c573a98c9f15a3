"""The GraphQL client of `voxql talk`."""
