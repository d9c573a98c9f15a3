"""What operations may cost, and how they and the events of streams are executed."""
