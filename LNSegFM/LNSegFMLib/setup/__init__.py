"""Installing packages, checking the computer, reporting problems."""
