"""What becomes of words when the disk is full, the file is locked or damaged, or must go back."""
