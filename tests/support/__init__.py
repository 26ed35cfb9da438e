"""Laboratory and factories that tests share."""
