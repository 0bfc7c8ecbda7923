"""The data types. They use msgspec and the standard library only, and do no I/O."""
