"""Carries the person's sound: the interface of a media backend, and the local backend."""
