"""DICOM series and objects."""
