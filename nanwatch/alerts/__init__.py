"""6. findings -> alerts: the life of a finding, in the one place that keeps it."""
