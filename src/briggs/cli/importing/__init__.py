"""`briggs import`: reads files of any size row by row, and sends them to the server in batches."""
