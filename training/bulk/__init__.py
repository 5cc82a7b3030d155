"""Samples by the million: `python -m training sample MODEL --n … --out DIR`.

    request.py       what was asked, as `bulk.json` in the folder; the shards that it comes to
    drawing.py       the images of a shard, a few at a time
    formats.py       npz, png, parquet, webdataset: the same bytes for the same images
    shards.py        one shard, whole or not there
    run.py           all shards, in this process or in several
    ray_data.py      all shards, on the machines of a Ray cluster

A shard's bytes depend on the request and on the shard's number alone: who writes it, and when, does not matter.
"""
