"""Check that two versions of the code do the same: `python -m reliability.unchanged REV`.

The same requests and commands go to both versions, and every byte of what comes back is compared. Both are driven from
outside only (processes, HTTP, files), so they may differ in every module and in every name inside. This package
imports no module of `app`, `models` or `training`.
"""
