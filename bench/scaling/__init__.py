"""What many conversations at once need, computed from the measured costs of one server."""
