"""Scores of predicted labels against the truth."""
