"""One worker process: its connections, heartbeat, watchdog and shutdown."""
