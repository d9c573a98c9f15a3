"""The hub of several processes, on one Redis, on Redis with Sentinel, or on a cluster."""

from hub.redis.hub import PREFIX, RedisHub

__all__ = ["PREFIX", "RedisHub"]
