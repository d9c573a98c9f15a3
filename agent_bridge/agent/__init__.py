"""The voice agent that comes with VoxQL: a worker like any other, in a process of its own.

Nothing outside this package imports it at module level: it needs the extra `agent`.
"""
