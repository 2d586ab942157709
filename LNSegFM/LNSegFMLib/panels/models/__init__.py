"""Installed, published and bundled models."""
