"""From a CT to probabilities and labels."""
