"""Weight files -> clean or not: safely (no code of theirs runs), at the speed of the disk, in bounded memory."""
