"""What the documentation says is true: it is made from the code, or held against it here."""

from __future__ import annotations

from pathlib import Path

from docs.make_alerts_table import page

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_of_alerts_is_up_to_date() -> None:
    """docs/alerts.md tells the alerts that the stories and the captures raise now (docs/make_alerts_table.py)."""
    assert (DOCS / "alerts.md").read_text(encoding="utf-8") == page()
