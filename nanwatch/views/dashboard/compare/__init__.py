"""Runs side by side: their curves over one another, their epochs in columns, and what differs between them."""
