"""Asking another process, one JSON object a line: both sides."""
