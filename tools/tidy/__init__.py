# SPDX-License-Identifier: Apache-2.0
"""The house inspector: layers, sizes, bans and names, checked on every test run.

A rule that no tool checks leaks. Each module holds one kind of rule and yields Findings; the
layer table is read out of ARCHITECTURE.md, so that the page and the check cannot disagree. There
is no list of exceptions; a generated file lives under a folder named gen/.
"""
