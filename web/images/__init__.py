"""Images: upload through the API."""
