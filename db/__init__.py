"""PostgreSQL: the schema, its migrations, the queue of record, and the reporting views."""
