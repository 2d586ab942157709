"""What is printed, and where it goes when it cannot be."""
