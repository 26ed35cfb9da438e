"""One worker process: its resources, retries, heartbeat, watchdog and shutdown."""
