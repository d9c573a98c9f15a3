"""Real Redis servers: one, one behind Sentinels, and clusters."""

from tests.programs.redis.server import RedisServer

__all__ = ["RedisServer"]
