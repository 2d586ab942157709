"""Lymph node segmentation in CT and its few-shot adaptation: the library; it knows nothing of Slicer."""
