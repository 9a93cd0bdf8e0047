"""Giant pictures: from storage to storage, in blocks that tasks read and write themselves."""

from drht_plugin.dask.giants.correct import StoreReport, correct_store

__all__ = ["StoreReport", "correct_store"]
