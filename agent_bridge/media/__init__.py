"""How the person's sound travels: the interface of a media backend, and the local one."""
