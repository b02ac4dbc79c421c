"""5. runs -> findings: one file a rule, named as the rule. A rule is pure: it reads a run and yields findings."""
