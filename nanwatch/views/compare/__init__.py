"""Runs side by side: what is the same figure in each, their epochs in columns, and what differs between them."""
