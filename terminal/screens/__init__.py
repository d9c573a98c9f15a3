"""What `voxql talk` shows and reads."""
