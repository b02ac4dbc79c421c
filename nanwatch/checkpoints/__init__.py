"""Weight files -> clean or not: safely (no code of theirs runs), at the speed of the disk, in bounded memory.

In the order in which a file goes through them:

1. `folder` finds checkpoints and picks the last clean one; `found` orders files, `shards` puts sets together.
2. `scan` looks at one file. It asks the reader of its format (`base` says what one is) where the numbers lie:
   `torch_zip` (`zip_directory`), `torch_legacy`, `safetensors`, `numpy_files`, `hdf5`; `archives`, `layout`, `window`
   serve several of them, `disguise` knows files that are two things at once.
3. `pickles` reads pickles by `machine` from a `picklestream`, as inert `records`; `trust` judges what they name,
   `witness` words what they tried, `torch_objects` finds the tensors among them.
4. `numbers` reads the numbers, `nonfinite` looks at them, `views` counts what each tensor shows; `parts` tells model,
   EMA and optimizer apart.
"""
