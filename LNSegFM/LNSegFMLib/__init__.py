"""Models, segmentation and lymph node measurements of LN-Seg-FM."""
