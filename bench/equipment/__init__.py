"""What the measurements use: servers, loads, clients and data."""
