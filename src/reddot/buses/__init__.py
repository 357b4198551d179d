"""One file per bus. They never import each other; all pass `tests/contract/test_bus.py`."""
