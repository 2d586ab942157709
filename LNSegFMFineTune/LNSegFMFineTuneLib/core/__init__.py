"""Core: numpy and SimpleITK, neither Qt nor Slicer nor torch."""
