"""`briggs export`: what each format writes for a completion, and the file that it goes to."""
