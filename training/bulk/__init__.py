"""Samples by the million: `python -m training sample MODEL --n … --out DIR`.

    request.py       the request, stored as `bulk.json` in the folder, and its division into shards
    drawing.py       draws the images of a shard, a few at a time
    formats.py       writes a shard as npz, png, parquet or webdataset: the same bytes for the same images
    shards.py        writes one shard, whole or not at all
    run.py           writes all shards that are missing
    processes.py     the same in several processes of this machine
    ray_data.py      the same on the machines of a Ray cluster

A shard's bytes depend on the request and on the shard's number alone, not on the process or the moment of writing.

May import `training.run` and the rooms below it.
"""
