# SPDX-License-Identifier: Apache-2.0
"""All rules over one tree."""
from tidy import cpp, layers, names, purity, sizes
from tidy.tree import all_files


def inspect(root):
    """Sorted findings, and the number of files that were looked at."""
    files = [file for file in all_files(root) if _is_ours(file)]
    table = layers.read_table(_text_of(files, layers.TABLE_FILE))
    findings = list(layers.check_table(table))
    findings += sizes.check_folders(files)
    findings += names.check_indexes(files)
    pairs = _pairs(files)
    for file in files:
        findings += layers.check_file(file, table)
        findings += layers.check_cmake(file, table)
        findings += purity.check_file(file, table, pairs.get(_pair_key(file), ""))
        findings += sizes.check_file(file)
        findings += names.check_file(file, root)
    return sorted(set(findings)), len(files)


def _is_ours(file):
    return (file.is_cpp or file.is_transcript or file.suffix in (".md", ".py", ".sh")
            or file.name == "CMakeLists.txt" or file.path in ("dev", ".ci/run"))


def _text_of(files, path):
    return next((file.text for file in files if file.path == path), "")


def _pair_key(file):
    return file.path[: len(file.path) - len(file.suffix)]


def _pairs(files):
    pairs = {}
    for file in files:
        if file.is_cpp:
            key = _pair_key(file)
            pairs[key] = pairs.get(key, "") + cpp.without_comments(file.text) + "\n"
    return pairs
