"""Lymph node segmentation in CT and its few-shot adaptation: the library; it knows nothing of Slicer."""

__version__ = "0.2.0"
NOTICE = "Research software, not a medical device."
