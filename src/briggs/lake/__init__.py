"""The lake: what is old, in Apache Iceberg tables that any engine reads."""
