"""Gives everything in a store a hostile name: markup, control characters, 10 kB.

usage: hostile.py STORE      (needs pyarrow)
"""

import json, os, sys
import pyarrow as pa, pyarrow.parquet as pq

NAMES = [
    "<img src=x onerror=\"window.owned=1\">",
    "<script>window.owned=2</script>",
    "\"><svg onload=window.owned=3>&lt;b&gt;${window.owned=4}{{7*7}}",
    "a\u0000b\u0007c\u001b[31md\re\nf\tg\u007fh\u009bi\u2028j",
    "\u202egnp.exe\u202c\u200b\ufeff",
    "javascript:window.owned=5//' onmouseover='window.owned=6",
    "W" * 10_000,
    "<b>" * 3_000 + "\n" * 1_000,
    "=cmd|'/C calc'!A0,\"x\"",
]

store = sys.argv[1]
path = os.path.join(store, "entities.parquet")
table = pq.read_table(path)
labels = [f"{NAMES[row % len(NAMES)]}" for row in range(table.num_rows)]
at = table.schema.get_field_index("label")
table = table.set_column(at, table.schema.field(at), pa.array(labels, pa.string()))
pq.write_table(table, path, compression="none")

path = os.path.join(store, "manifest.json")
with open(path) as file:
    text = file.read()
with open(path, "w") as file:
    file.write(text.replace('"vfhost"', json.dumps(NAMES[0] + "m" * 5_000)))
