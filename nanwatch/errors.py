"""The errors that a user may see: one line each, what and where.

NanwatchError
├── UsageError      exit code 2: a wrong argument or a broken config
└── NothingToRead   exit code 3: no log could be read
"""

from __future__ import annotations


class NanwatchError(Exception):
    """Base of every error that is shown to the user as one line on stderr."""

    exit_code = 1


class UsageError(NanwatchError):
    """The command line or the config is wrong."""

    exit_code = 2


class NothingToRead(NanwatchError):
    """None of the named logs exists or can be read."""

    exit_code = 3
