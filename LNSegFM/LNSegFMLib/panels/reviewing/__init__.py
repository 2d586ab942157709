"""Sections that review: the lymph nodes, the probability, export."""
