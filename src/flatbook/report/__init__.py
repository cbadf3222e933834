"""What a run looks like: its series, its summary, and the pages and tables drawn from them.

Pure: values in, text out. `tables` is filled by the engine, `summary` makes `report.json`, `html` and `terminal` the
tear sheet, `compare` several runs side by side.
"""
