"""The section that corrects, with the embedded Segment Editor."""
