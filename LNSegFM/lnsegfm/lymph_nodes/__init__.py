"""Instances of lymph nodes and their measurements."""
