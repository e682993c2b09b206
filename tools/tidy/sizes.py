# SPDX-License-Identifier: Apache-2.0
"""Hard stops on size; STYLE.md says why each number."""
import ast
import collections

from tidy import cpp
from tidy.tree import Finding

LINE_COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
SOURCE_LINES_MAX = 600
HEADER_LINES_MAX = 300
TEST_LINES_MAX = 800
TRANSCRIPT_LINES_MAX = 200
PARAMETERS_MAX = 5
NESTING_MAX = 4
FOLDER_FILES_MAX = 25
PAGE_LINES_MAX = {"README.md": 150, "ARCHITECTURE.md": 500, "STYLE.md": 250, "CONTRIBUTING.md": 150,
                  "CMakeLists.txt": 100}
NESTING_NODES = (ast.If, ast.For, ast.While, ast.With, ast.Try)


def check_file(file):
    yield from _check_length(file)
    if file.is_cpp or file.is_python or file.is_shell:
        for number, line in enumerate(file.lines, 1):
            if len(line) > LINE_COLUMNS_MAX:
                yield file.finding(number, "size", f"{len(line)} columns > {LINE_COLUMNS_MAX}")
    if file.is_cpp:
        yield from _check_functions(file, cpp.functions_of(file.text))
    elif file.is_python:
        yield from _check_functions(file, _python_functions(file.text))


def _check_length(file):
    stop, count, what = None, len(file.lines), "lines"
    if file.path in PAGE_LINES_MAX:
        stop = PAGE_LINES_MAX[file.path]
    elif file.is_transcript:
        stop = TRANSCRIPT_LINES_MAX
    elif file.is_test:
        stop = TEST_LINES_MAX
    elif file.is_header:
        stop, what = HEADER_LINES_MAX, "lines without comments"
        code = cpp.without_comments(file.text).splitlines()
        count = sum(1 for line, whole in zip(code, file.lines) if line.strip() or not whole.strip())
    elif file.is_cpp or file.is_python or file.is_shell:
        stop = SOURCE_LINES_MAX
    if stop is not None and count > stop:
        yield file.finding(1, "size", f"{count} {what} > {stop}")


def _check_functions(file, functions):
    for function in functions:
        lines = function.last_line - function.first_line + 1
        for value, stop, what in (
                (lines, FUNCTION_LINES_MAX, "lines"),
                (function.parameters, PARAMETERS_MAX, "parameters"),
                (function.depth, NESTING_MAX, "levels of nesting")):
            if value > stop:
                yield file.finding(function.first_line, "size",
                                   f"{function.name} has {value} {what} > {stop}")


def _python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [argument.arg for argument in node.args.args + node.args.kwonlyargs]
            count = sum(1 for name in names if name not in ("self", "cls"))
            yield cpp.Function(node.name, node.lineno, node.end_lineno, count, _depth(node))


def _depth(node):
    deepest = 0
    for child in ast.iter_child_nodes(node):
        nests = isinstance(child, NESTING_NODES) and not _is_elif(node, child)
        deepest = max(deepest, _depth(child) + nests)
    return deepest


def _is_elif(parent, child):
    return isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]


def check_folders(files):
    counts = collections.Counter(
        file.path.rsplit("/", 1)[0] for file in files
        if file.is_cpp and not file.is_test and not file.is_bench)
    for folder, count in sorted(counts.items()):
        if count > FOLDER_FILES_MAX:
            yield Finding(folder, 1, "size", f"{count} source files > {FOLDER_FILES_MAX}: split it")
