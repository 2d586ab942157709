"""Corrected cases: the store, and importing into it."""
