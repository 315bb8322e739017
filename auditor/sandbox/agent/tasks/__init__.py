"""What the agent can do, one module per task."""
