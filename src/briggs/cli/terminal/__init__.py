"""What commands print: tables, cards, tokens in colour, answers as they arrive, and CSV."""
