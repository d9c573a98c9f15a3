"""What growing beyond one process and one file costs."""
