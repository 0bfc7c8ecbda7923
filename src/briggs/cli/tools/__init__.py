"""What `briggs mcp` offers to a model: tools that read the record, and one that grades."""
