"""The module's self-tests."""
