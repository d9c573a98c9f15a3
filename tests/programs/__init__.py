"""Programs that tests start: servers, LiveKit, and what keeps track of them."""
