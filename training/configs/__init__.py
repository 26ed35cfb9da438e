"""Training configurations: one TOML file and one typed class for each kind of training."""
