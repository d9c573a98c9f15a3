"""The bridge: protocol, endpoint, clients, tokens and the wheel."""
