#!/usr/bin/env python3
"""Holds the rules of the house that a machine can hold. Runs from the top of the source tree.

    lint.py arrows    who may include whom
    lint.py sizes     no file over 800 lines, no function over 100; what is over 400 and 60 is shown
    lint.py floats    no binary floating point between a venue's text and a client's text
    lint.py headers   each public header opens with a comment; each header is read once
    lint.py marks     no notes to oneself
    lint.py scripts   shell scripts parse
"""
import os
import re
import subprocess
import sys

FOLDERS = ("base", "shm", "net", "feed", "match", "store", "engine", "web", "tools", "tests")

# A file under the folder on the left may include what is on the right: a folder with all below it, or one header. The longest
# folder that fits counts. What lies in the same folder is always allowed, a *_private.h nowhere else.
STORE_WORDS = ("store/reader.h", "store/alert.h", "store/candle.h", "store/channel.h", "store/delivery.h", "store/silence.h", "store/wire.h")
ARROWS = {
    "base": (),
    "shm": ("base",),
    "net": ("base",),
    "feed": ("base", "net"),
    "match": ("base", "shm"),
    "store": ("base", "shm/tick.h", "match"),
    "engine": ("base", "shm", "engine/supervisor/supervisor.h"),
    "engine/supervisor": ("base", "shm", "engine/heritage.h"),
    "engine/ingest": ("base", "shm", "net", "feed", "engine/heritage.h"),
    "engine/evaluator": ("base", "shm", "match", "engine/heritage.h"),
    "engine/keeper": ("base", "shm", "match", "store", "engine/heritage.h"),
    "engine/notify": ("base", "shm", "match", "engine/heritage.h") + STORE_WORDS,
    "web": ("base", "shm", "net", "match", "engine/heritage.h") + STORE_WORDS,
    "tools": ("base", "net"),
    "tools/pxshm": ("base", "shm"),
    "tests": ("base", "shm", "net", "feed", "match", "store", "engine", "web", "tools"),
}

# System headers that only some folders may touch, and why.
CONFINED = {
    r"rocksdb/": (("store", "tests"), "only the store opens RocksDB"),
    r"pthread\.h|threads\.h": (None, ("engine/supervisor", "the supervisor forks, so it has no threads")),
    r"urcu": (None, ("engine/supervisor", "the supervisor forks, so it has no liburcu")),
    r"yaml\.h": (("base", "tests"), "configuration is read in base/config*.c alone"),
    r"civetweb\.h": (("web", "tests"), "HTTP is web's"),
    r"curl/": (("engine/notify", "tools/pxctl", "tests"), "what goes out of the engine goes through notify"),
    r"wslay/": (("net", "tests"), "WebSocket framing is net's"),
}

FLOATLESS = ("base/decimal", "feed/", "engine/", "match/", "shm/")
# Spelt so that this file does not find itself.
MARKS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
TEXT_ENDINGS = (".c", ".h", ".py", ".sh", ".js", ".mjs", ".css", ".html", ".cmake", ".md", ".yaml", ".txt")


def files(*endings):
    for folder in FOLDERS:
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(f for f in folders if f != "node_modules" and not f.startswith("."))
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.join(place, name)


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().split("\n")


def without_comments(text):
    """Comments and strings become blanks; lines keep their numbers."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def folder_of(path, table):
    """The longest folder of the table that the file lies in."""
    fitting = [folder for folder in table if path.startswith(folder + "/")]
    return max(fitting, key=len) if fitting else None


def may_include(path, included):
    folder = folder_of(path, ARROWS)
    if included.endswith("_private.h") and not path.startswith("tests/"):
        return os.path.dirname(path) == os.path.dirname(included)
    if os.path.dirname(path) == os.path.dirname(included) or folder is None:
        return True
    if folder != "engine" and included.startswith(folder + "/"):
        return True
    return any(included == allowed or included.startswith(allowed + "/") for allowed in ARROWS[folder])


def confined(path, included):
    """Why this system header may not be used here, or None."""
    for pattern, (inside, why) in CONFINED.items():
        if not re.match(pattern, included):
            continue
        if inside is not None and not path.startswith(tuple(f + "/" for f in inside)):
            return why
        if inside is None and path.startswith(why[0] + "/"):
            return why[1]
    return None


def arrows():
    for path in files(".c", ".h"):
        for number, line in enumerate(lines_of(path), 1):
            ours = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            system = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if ours and "/" not in ours.group(1):
                yield f"{path}:{number}: write the full path of {ours.group(1)}"
            elif ours and not may_include(path, ours.group(1)):
                yield f"{path}:{number}: {folder_of(path, ARROWS)} may not include {ours.group(1)}"
            elif system and confined(path, system.group(1)):
                yield f"{path}:{number}: <{system.group(1)}>: {confined(path, system.group(1))}"


def functions(path):
    """Name, first line and length of each function; the house's layout puts both braces in column 0."""
    head, start = "", 0
    for number, line in enumerate(lines_of(path), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            name = re.findall(r"(\w+)\(", head)
            yield (name[0] if name else "?"), start, number - start - 1
            start = 0
        elif not start and re.match(r"[A-Za-z_].*\(", line):
            head = line


def sizes():
    long_ones = []
    for path in files(".c", ".h", ".js", ".mjs", ".py", ".sh", ".css", ".html"):
        count = len(lines_of(path)) - 1
        if count > 800:
            yield f"{path}: {count} lines; over 800 a second room is hiding"
        elif count > 400:
            long_ones.append(f"  {path}: {count} lines")
        if not path.endswith((".c", ".h")):
            continue
        for name, start, length in functions(path):
            if length > 100:
                yield f"{path}:{start}: {name} has {length} lines; over 100 nobody sees it whole"
            elif length > 60:
                long_ones.append(f"  {path}:{start}: {name}, {length} lines")
    if long_ones:
        print("Long, to be watched:", *long_ones, sep="\n")


def floats():
    for path in files(".c", ".h"):
        if not path.startswith(FLOATLESS):
            continue
        text = without_comments("\n".join(lines_of(path)))
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(float|double)\b", line):
                yield f"{path}:{number}: binary floating point; prices are decimals"


def headers():
    for path in files(".h"):
        lines = lines_of(path)
        if not lines[0].startswith("/*") and not path.endswith("_private.h"):
            yield f"{path}:1: a header opens with a comment that says what it is for"
        if "#pragma once" not in lines:
            yield f"{path}:1: #pragma once is missing"


def marks():
    for path in files(*TEXT_ENDINGS):
        for number, line in enumerate(lines_of(path), 1):
            if MARKS.search(line):
                yield f"{path}:{number}: {MARKS.search(line).group()}: do it now, or write it where it is planned"


def scripts():
    found = ["px", ".ci/run"] + list(files(".sh"))
    for path in found:
        result = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            yield result.stderr.strip()


RULES = {rule.__name__: rule for rule in (arrows, sizes, floats, headers, marks, scripts)}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RULES:
        print(__doc__)
        return 2
    found = list(RULES[sys.argv[1]]())
    for line in found:
        print(line)
    print(f"{sys.argv[1]}: {len(found)} found" if found else f"{sys.argv[1]}: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
