"""`python -m nanwatch` is the `nanwatch` command."""

from nanwatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
