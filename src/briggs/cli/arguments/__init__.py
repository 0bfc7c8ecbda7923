"""What commands are given, read the same way by all: options, filters, the server, ids."""
