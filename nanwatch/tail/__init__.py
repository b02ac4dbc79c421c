"""1. files -> bytes: finds the logs, follows each as one endless stream, knows when to look again."""
