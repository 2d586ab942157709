"""Errors, files, locks, processes and the home folder."""
