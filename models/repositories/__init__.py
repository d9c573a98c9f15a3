"""The queries, by what they are about. Every function takes the connection that it uses."""
