# SPDX-License-Identifier: Apache-2.0
"""How files open, what things are called, and links that lead somewhere."""
import pathlib
import re

from tidy import cpp

LICENCE = "SPDX-License-Identifier: Apache-2.0"
BANNED_SUFFIXES = ("Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Data")
BANNED_STEMS = {"util", "utils", "helper", "helpers", "manager", "common", "misc", "impl"}
TYPE = re.compile(r"\b(?:class|struct|union|enum\s+class|enum|concept|using)\s+(?:\[\[.*?\]\]\s*)?"
                  r"(\w+)")
TEST_CASE = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST)\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.M)
UNFINISHED = re.compile(r"\b(?:TO" "DO|FIX" "ME|XX" "X|HA" "CK)\\b")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def check_file(file, root):
    if file.is_cpp or file.is_python or file.is_shell:
        yield from _check_opening(file)
        yield from _check_unfinished(file)
    if file.is_cpp:
        yield from _check_types(file)
    if file.suffix == ".md":
        yield from _check_links(file, root)


def check_indexes(files):
    """The README of a folder of docs/ leads to every page in it."""
    pages = {file.path: file for file in files if file.suffix == ".md"}
    for path, page in sorted(pages.items()):
        folder = path.rsplit("/", 1)[0]
        index = pages.get(folder + "/README.md")
        if path.startswith("docs/") and index and page is not index:
            if page.name not in LINK.findall(index.text):
                yield index.finding(1, "links", f"{page.name} is not in the list")


def _check_opening(file):
    lines = file.lines
    if lines and lines[0].startswith("#!"):
        lines = lines[1:]
    if not file.text.strip():
        return
    mark = "//" if file.is_cpp else "#"
    if lines[:1] != [f"{mark} {LICENCE}"]:
        yield file.finding(1, "opening", f"the first line must be: {mark} {LICENCE}")
    if file.is_header:
        if not lines[1:2] or not lines[1].startswith("//"):
            yield file.finding(2, "opening", "a header says what it is, below the licence line")
        if "#pragma once" not in lines:
            yield file.finding(1, "opening", "#pragma once is missing")


def _check_unfinished(file):
    for number, line in enumerate(file.lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield file.finding(number, "names", f"{match.group()}: finish it or leave it out")


def _check_types(file):
    if file.stem in BANNED_STEMS:
        yield file.finding(1, "names", f"{file.name}: a name that says nothing")
    code = cpp.without_comments(file.text)
    for match in TYPE.finditer(code):
        if match.group(1).endswith(BANNED_SUFFIXES):
            line = code.count("\n", 0, match.start()) + 1
            yield file.finding(line, "names", f"{match.group(1)}: a name that says nothing")
    for match in TEST_CASE.finditer(code):
        if not re.fullmatch(r"[a-z0-9_]+", match.group(2)):
            line = code.count("\n", 0, match.start()) + 1
            yield file.finding(line, "names",
                               f"{match.group(2)}: a test is a sentence in snake_case")


def _check_links(file, root):
    for number, line in enumerate(file.lines, 1):
        for target in LINK.findall(line):
            path = target.split("#")[0]
            if "://" in target or target.startswith("mailto:") or not path:
                continue
            base = pathlib.Path(root) / file.path
            if not (base.parent / path).exists():
                yield file.finding(number, "links", f"{target} leads nowhere")
