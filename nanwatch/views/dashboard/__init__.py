"""The live dashboard: what it shows are snapshots, and nothing of it reaches the pipeline but what people ask for."""
