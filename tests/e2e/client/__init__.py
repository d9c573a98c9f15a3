"""The person's side of a conversation: a client of the API, its microphone and its loudspeaker."""
