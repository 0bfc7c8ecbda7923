"""Everything that is specific to PostgreSQL."""
