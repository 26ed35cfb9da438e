"""Reports from the database: COCO results, tables, pictures and HTML pages."""
