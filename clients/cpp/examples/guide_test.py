# SPDX-License-Identifier: Apache-2.0
"""Compiles the C++ of the guide, as it stands there: guide_test.py COMPILER SOURCE_TREE WORK

Each block becomes the body of a function that is given what the text around it has made: a
`database` to hold locks in, a `client` of a cluster. Nothing is linked or run.
"""
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.M | re.S)
ALWAYS = ["<iostream>", "<quorate/client.h>", "<quorate/database.h>", "<quorate/locks.h>"]
WITHIN = 200


def blocks(tree):
    """File, line and text of each block."""
    for page in sorted((tree / "docs/guide").glob("*.md")):
        text = page.read_text()
        for found in BLOCK.finditer(text):
            yield page, text.count("\n", 0, found.start(1)) + 1, found.group(1)


def program(found):
    """One source file of all blocks; errors name the pages and their lines."""
    lines = [f"#include {name}" for name in ALWAYS]
    for number, (page, line, text) in enumerate(found):
        body = re.sub(r"^#include .*$", "", text, flags=re.M)
        lines += [f"int block_{number}([[maybe_unused]] quorate::Database& database,",
                  "    [[maybe_unused]] quorate::Client& client) {", "{",
                  f'#line {line} "{page}"', body.rstrip("\n"), "}", "return 0;", "}"]
    return "\n".join(lines) + "\n"


def main(compiler, tree, work):
    found = list(blocks(pathlib.Path(tree)))
    includes = {name for _, _, text in found for name in re.findall(r"^#include (.*)$", text, re.M)}
    unknown = includes - set(ALWAYS)
    if len(found) < 3 or unknown:
        sys.exit(f"{len(found)} blocks; includes that are not known here: {unknown}")
    source = pathlib.Path(work)
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(program(found))
    done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-Werror=unused-result",
                           f"-I{tree}/include", f"-I{tree}/src", str(source)], timeout=WITHIN,
                          check=False)
    print(f"{len(found)} blocks")
    sys.exit(done.returncode)


main(*sys.argv[1:])
