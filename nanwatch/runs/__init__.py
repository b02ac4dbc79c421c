"""4. events -> runs: the only place where a run's state changes; bounded memory whatever the length of the log."""
