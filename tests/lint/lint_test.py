#!/usr/bin/env python3
"""The lint itself: each rule must find a planted fault and pass a clean tree."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint  # noqa: E402

NOTE = "TO" + "DO"
LONG = "int f(void)\n{\n" + "    x();\n" * 101 + "}\n"
FAULTS = (
    ("arrows", "base/a.c", '#include "shm/ring.h"\n'),
    ("arrows", "shm/a.c", '#include "engine/heritage.h"\n'),
    ("arrows", "engine/ingest/a.c", '#include "engine/evaluator/windows.h"\n'),
    ("arrows", "engine/supervisor/a.c", '#include "store/reader.h"\n'),
    ("arrows", "engine/supervisor/a.c", "#include <pthread.h>\n"),
    ("arrows", "engine/evaluator/a.c", '#include "store/reader.h"\n'),
    ("arrows", "engine/main.c", '#include "engine/keeper/keeper.h"\n'),
    ("arrows", "web/a.c", '#include "store/store.h"\n'),
    ("arrows", "web/a.c", "#include <rocksdb/c.h>\n"),
    ("arrows", "web/a.c", '#include "feed/dialect.h"\n'),
    ("arrows", "web/a.c", '#include "store/wire_private.h"\n'),
    ("arrows", "net/a.c", '#include "stream.h"\n'),
    ("sizes", "net/a.c", "\n" * 801),
    ("sizes", "net/a.c", LONG),
    ("floats", "feed/a.c", "static double x;\n"),
    ("floats", "base/decimal.c", "/* c */ float x;\n"),
    ("headers", "net/a.h", "#pragma once\n"),
    ("headers", "net/a.h", "/* What it is. */\nint x;\n"),
    ("marks", "net/a.c", f"/* {NOTE}: later */\n"),
    ("scripts", "tests/a.sh", "if true\n"),
)
CLEAN = (
    ("base/a.h", "/* What it is. */\n#pragma once\n"),
    ("feed/a.c", '#include "net/ws.h"\n/* no double, no float */\nchar *x = "double";\n'),
    ("engine/keeper/a.c", '#include "store/store.h"\n#include "engine/keeper/keeper_private.h"\n#include <pthread.h>\n'),
    ("engine/main.c", '#include "engine/supervisor/supervisor.h"\n'),
    ("web/rest/a.c", '#include "store/reader.h"\n#include "web/live/live.h"\n'),
    ("net/a.c", '#include "net/ws_private.h"\nchar x[] = "/tmp/a-XXXXXX";\n' + LONG.replace("    x();\n", "", 1)),
    ("px", "true\n"),
    (".ci/run", "true\n"),
)


def plant(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def in_empty_tree(plants, check):
    with tempfile.TemporaryDirectory() as place:
        before = os.getcwd()
        os.chdir(place)
        try:
            for path, text in plants:
                plant(path, text)
            return check()
        finally:
            os.chdir(before)


def main():
    failed = 0
    for rule, path, text in FAULTS:
        plants = [("px", "true\n"), (".ci/run", "true\n"), (path, text)]
        if not in_empty_tree(plants, lambda: list(lint.RULES[rule]())):
            print(f"{rule} does not see {text[:60]!r} in {path}")
            failed += 1
    for rule, check in lint.RULES.items():
        found = in_empty_tree(CLEAN, lambda: list(check()))
        if found:
            print(f"{rule} complains of a clean tree:", *found, sep="\n  ")
            failed += 1
    print(f"{len(FAULTS)} faults planted, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
