"""Tests of the hub: events, their encoding, and the queues of subscribers."""
