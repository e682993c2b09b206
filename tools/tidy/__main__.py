# SPDX-License-Identifier: Apache-2.0
"""python3 tools/tidy [ROOT]: prints each finding as path:line: message [rule], fails if any."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tidy import check  # noqa: E402  (the path must be set first)


def main(arguments):
    default = pathlib.Path(__file__).resolve().parent.parent.parent
    root = pathlib.Path(arguments[0]) if arguments else default
    findings, files = check.inspect(root)
    for finding in findings:
        print(finding)
    print(f"tidy: {files} files, {len(findings)} findings")
    return 1 if findings else 0


sys.exit(main(sys.argv[1:]))
