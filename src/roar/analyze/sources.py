"""What is source code: told by the name alone, where nobody has to look into a file."""

SOURCE_SUFFIXES = (".py", ".pyx", ".pyi", ".ipynb", ".sh", ".bash", ".zsh", ".r", ".R", ".Rmd", ".jl", ".lua", ".pl",
                   ".rb", ".js", ".mjs", ".ts", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cu", ".cuh", ".rs", ".go",
                   ".java", ".scala", ".kt", ".m", ".mk", ".cmake", "/Makefile", "/Snakefile", "/CMakeLists.txt")


def is_source(path: str) -> bool:
    """Whether the name says that a file is source code, which a repository records as code and not as data."""
    return path.endswith(SOURCE_SUFFIXES)
