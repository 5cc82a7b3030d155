"""Draw millions of samples into files: `python -m training sample MODEL --n … --out DIR`.

    request.py       the request, which the folder stores as `bulk.json`, and its division into shards
    drawing.py       draws the images of a shard, a few at a time
    formats.py       writes a shard as npz, png, parquet or webdataset; the same images give the same bytes
    shards.py        writes one shard completely, or not at all
    inspection.py    finds shards that are damaged or of another request
    run.py           writes all missing shards
    processes.py     writes shards in several processes of this machine
    ray_data.py      writes shards on the machines of a Ray cluster

A shard is one of the files or folders into which the samples are divided. Its bytes depend only on the request and on
the number of the shard, and not on the process or the time.

This package may import `training.run` and the packages below it.
"""
