"""One file per store. They never import each other; all pass `tests/contract/test_store.py`."""
