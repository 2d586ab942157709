"""Fine-tuning jobs: what was asked, how they stand, what they left."""
