"""Reading a CT or labels from what the user has, and checking what was read."""
