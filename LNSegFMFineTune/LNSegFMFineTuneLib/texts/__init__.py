"""What the panels say."""
