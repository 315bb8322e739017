"""What single data systems ask of a cluster, one module per system."""
