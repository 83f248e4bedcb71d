"""Models trained with the code that the paper's authors published, read without that code."""

from __future__ import annotations

from sams_core.reference.importing import Imported, import_reference
from sams_core.reference.names import our_name
from sams_core.reference.reading import ReferenceFile, read_reference

__all__ = ["Imported", "ReferenceFile", "import_reference", "our_name", "read_reference"]
