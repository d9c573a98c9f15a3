"""Starting, running, saving and listing conversations."""
