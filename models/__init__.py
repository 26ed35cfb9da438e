"""What was learned and how it runs: engines, the registry of weights, and the networks' definitions."""
