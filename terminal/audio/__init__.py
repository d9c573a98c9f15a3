"""The audio of `voxql talk`: recordings, microphone, speaker, and the connection to the server."""
