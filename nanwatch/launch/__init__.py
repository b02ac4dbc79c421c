"""`nanwatch run`: runs a training, passes its output on, keeps its log, and writes into it how the training ended."""

from nanwatch.launch.command import run_command

__all__ = ["run_command"]
