"""What the computer has, and which of its processes live."""
