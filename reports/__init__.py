"""What people take home from the database: COCO results, tables, pictures, HTML pages."""
