"""The status page of a run: one content, shown in a terminal, as Markdown and as one HTML file with plots."""
