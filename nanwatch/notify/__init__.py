"""Stage 7, alerts -> people: who is told, in which words, through which service, and what when it fails."""
