"""A run -> probable causes with evidence, settings to change, how to resume; the knowledge is data."""

from nanwatch.diagnose.engine import diagnose as diagnose
