"""The grid of a volume, orientation, boxes, and label images on grids."""
