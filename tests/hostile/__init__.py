"""Everything that can be sent to a whole server and should not be: what it says, what is left."""
