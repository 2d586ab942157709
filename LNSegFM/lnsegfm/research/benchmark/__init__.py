"""The paper's experiment: which runs there are, doing them, and what they say; no torch."""
