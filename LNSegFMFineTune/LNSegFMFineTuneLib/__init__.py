"""Corrected cases and few-shot adaptation of LN-Seg-FM models."""
