"""Asks the questions of docs/store.md inside a store and prints the answers as JSON."""

import contextlib
import io
import json
import re
import sys

import duckdb

text = open(sys.argv[1], encoding="utf-8").read()
answers = []
for language, block in re.findall(r"```(sql|python)\n(.*?)```", text, re.S):
    out = io.StringIO()
    if language == "sql":
        print(duckdb.sql(block).df().to_string(index=False), file=out)
    else:
        with contextlib.redirect_stdout(out):
            exec(block, {})
    lines = [line.rstrip() for line in out.getvalue().rstrip().splitlines()]
    answers.append("\n".join(lines) + "\n")
json.dump(answers, sys.stdout)
