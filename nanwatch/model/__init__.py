"""What flows between the stages: chunks, frames, events, runs, alerts. Imports no stage."""
