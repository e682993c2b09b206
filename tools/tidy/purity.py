# SPDX-License-Identifier: Apache-2.0
"""Pure folders are poor: no clock, thread, file, socket, chance, global, or order by accident."""
import re

from tidy import cpp

BANNED_HEADERS = {
    "thread", "mutex", "shared_mutex", "atomic", "condition_variable", "future", "semaphore",
    "latch", "barrier", "stop_token", "chrono", "ctime", "random", "iostream", "istream",
    "ostream", "fstream", "filesystem",
}
SYSTEM_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>", re.MULTILINE)
BANNED_CODE = [
    (re.compile(r"\b(?:system|steady|high_resolution|utc|file)_clock\b"), "a clock"),
    (re.compile(r"\bthread_local\b"), "a global"),
    (re.compile(r"\b(?:clock_gettime|gettimeofday|getenv|rand|srand|random_device)\s*\("),
     "the world outside"),
    (re.compile(r"\bstd::(?:time|rand|getenv)\b"), "the world outside"),
    (re.compile(r"\b(?:float|double)\b"), "floating point"),
    (re.compile(r"\b(?:map|set)<\s*(?:const\s+)?[\w:]+\s*\*"), "a pointer as a key"),
]
UNORDERED = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<")


def check_file(file, layers, pair_text):
    """`pair_text` is the code of x.h and x.cc together: a member is iterated in the other file."""
    layer = layers.get(file.folder)
    if layer is None or not layer.pure or not file.is_cpp:
        return
    if file.is_test or file.is_bench:
        return
    yield from _check_includes(file)
    code = cpp.without_comments(file.text)
    for number, line in enumerate(code.splitlines(), 1):
        for pattern, what in BANNED_CODE:
            if pattern.search(line):
                yield file.finding(number, "pure", f"{what} in a pure folder")
    yield from _check_iteration(file, code, _unordered_names(pair_text))


def _check_includes(file):
    for match in SYSTEM_INCLUDE.finditer(file.text):
        header = match.group(1)
        line = file.text.count("\n", 0, match.start()) + 1
        if header in BANNED_HEADERS:
            yield file.finding(line, "pure", f"<{header}> in a pure folder")
        elif "/" in header or (header.endswith(".h") and not header.endswith("intrin.h")):
            yield file.finding(line, "pure", f"<{header}> is not the C++ library's")


def _unordered_names(code):
    """Names of variables, and of aliases' variables, that are unordered containers."""
    names, aliases = set(), set()
    for match in UNORDERED.finditer(code):
        end = _end_of_angles(code, match.end())
        alias = re.search(r"\busing\s+(\w+)\s*=\s*(?:std::)?$", code[:match.start()])
        if alias:
            aliases.add(alias.group(1))
        variable = re.match(r"\s*&?\s*(\w+)", code[end:])
        if variable:
            names.add(variable.group(1))
    for alias in aliases:
        names.update(re.findall(rf"\b{alias}\b\s*&?\s*(\w+)\s*[;={{,)]", code))
    return names


def _end_of_angles(code, at):
    depth = 1
    while at < len(code) and depth > 0:
        depth += (code[at] == "<") - (code[at] == ">")
        at += 1
    return at


def _check_iteration(file, code, names):
    if not names:
        return
    name = "|".join(sorted(names))
    iteration = re.compile(
        rf"\bfor\s*\([^;{{}}]*?:\s*(?:[\w.\->]+(?:\.|->))?({name})\s*\)"
        rf"|\b({name})\.c?begin\(", re.DOTALL)
    for match in iteration.finditer(code):
        line = code.count("\n", 0, match.start()) + 1
        yield file.finding(line, "pure", "iterates the unordered container "
                           f"{match.group(1) or match.group(2)}")
