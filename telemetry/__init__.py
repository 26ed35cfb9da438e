"""What a process tells of itself: logs, metrics, traces, and whether it lives and can work."""
