"""edgewatch watches cameras on an edge box and says, in time, Normal or Anomaly."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgewatch")
except PackageNotFoundError:  # a bare checkout on sys.path: nothing was installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
