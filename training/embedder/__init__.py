"""The embedding network: its data, its losses, how it is trained and exported."""
