"""Tools for contributors that are no tests."""
