"""The log viewer: a file of any size as rows, addressed by byte offsets, so that no jump needs an index."""
