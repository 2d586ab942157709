"""Everything that imports torch; runs in worker and job processes only."""
