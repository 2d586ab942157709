"""Engine: torch and nnU-Net; imported by worker processes only."""
