"""Fault injection: killed servers, cut connections, slow and dead readers."""
