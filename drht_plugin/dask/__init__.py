"""Correct dask arrays, block by block: on threads, on processes, or on a cluster.

The survey adds whole numbers up, so it can read an image in any parts; a `Scene` and a window are
all that render needs. Nothing is computed until the result is, and no pixel passes through the
client::

    import dask.array as da
    import drht_plugin.dask

    panorama = da.from_zarr("panorama.zarr")
    corrected = drht_plugin.dask.correct(panorama, wrap=True)
    da.to_zarr(corrected, "corrected.zarr")

`drht_plugin.correct` does the same for a dask array. `correct_store` takes giants from storage to
storage, which need not fit the workers' memory. The results are those of the same calls on numpy
arrays: bit for bit in guided detail, within a code in network detail.
"""

from drht_plugin.dask._render import correct, estimate_hdr, render
from drht_plugin.dask._survey import survey
from drht_plugin.dask.giants import StoreReport, correct_store

__all__ = ["StoreReport", "correct", "correct_store", "estimate_hdr", "render", "survey"]
