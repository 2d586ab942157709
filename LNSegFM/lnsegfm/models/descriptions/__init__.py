"""What nnU-Net's ``plans.json`` and ``dataset.json`` may say."""
