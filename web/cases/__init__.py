"""Cases: their list, and each with its result and images."""
