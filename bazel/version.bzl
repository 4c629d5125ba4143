"""The version of everything that is built here; CHANGELOG.md says what each version brought.

"-dev" marks a tree on the way to that version. //version:version makes the C++ constant of it.
"""

VERSION = "0.2.0-dev"
