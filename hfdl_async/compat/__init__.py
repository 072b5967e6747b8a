"""The reference client's two download functions, carried out by our engine.

    from hfdl_async.compat import hf_hub_download, snapshot_download

Signatures, return values, exceptions and the cache are those of `huggingface_hub`; what is fetched
is proven, resumed and published as everywhere else here. What touches no network (a dry look into
the cache) is left to the library itself.
"""

from hfdl_async.compat.calls import hf_hub_download, snapshot_download

__all__ = ["hf_hub_download", "snapshot_download"]
