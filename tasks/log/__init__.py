"""The transparency log on an object store: what is written where, in which order, and how it is read back.

Put here: `seq/`, tiles, checkpoints, shards. Do not put here: what entries mean (evidence), or what is sealed
(catalog).
"""
