"""Writes, orders and streams what is said in a conversation."""
