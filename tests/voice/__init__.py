"""The voice agent and the transport of sound."""
