"""Reasons of the system, of the network and of missing packages, in words for users."""
