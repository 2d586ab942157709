"""Models that others publish: what there is, and how it comes here."""
