"""A lineage in formats of others: CycloneDX, OpenLineage, PROV, RO-Crate. Tracker runs are in each as references.

The formats' own libraries are imported where a format is asked for: a server that nobody asks for exports, and the
command line while it only explains itself, start without them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from glaas.exports.lineage import Lineage, Noun, Subject, make_lineage

__all__ = ["MEDIA_TYPES", "Document", "Format", "Lineage", "Noun", "Subject", "export", "make_lineage"]


class Format(StrEnum):
    """What a lineage can be exported as."""

    CYCLONEDX = "cyclonedx"
    OPENLINEAGE = "openlineage"
    PROV = "prov"
    RO_CRATE = "ro-crate"


MEDIA_TYPES = {
    Format.CYCLONEDX: "application/vnd.cyclonedx+json; version=1.6",
    Format.OPENLINEAGE: "application/json",
    Format.PROV: "application/json",
    Format.RO_CRATE: 'application/ld+json; profile="https://w3id.org/ro/crate"',
}
# the endings by which each format's own tools know their files
_ENDINGS = {
    Format.CYCLONEDX: ".cdx.json", Format.OPENLINEAGE: ".openlineage.json", Format.PROV: ".prov.json",
    Format.RO_CRATE: "-ro-crate-metadata.json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An export, ready to be sent or written.

    Attributes:
        body: JSON, UTF-8. The same lineage has the same bytes.
        media_type: of `body`.
        file_name: what the format's tools expect such a file to be called.
    """

    body: bytes
    media_type: str
    file_name: str


def export(lineage: Lineage, name: Format, packed: Mapping[str, str] | None = None) -> Document:
    """The lineage in the format `name`; `packed` as in `ro_crate`."""
    text = json.dumps(_shape(lineage, name, packed), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return Document(body=f"{text}\n".encode(), media_type=MEDIA_TYPES[name],
                    file_name=f"{lineage.subject.short}{_ENDINGS[name]}")


def _shape(lineage: Lineage, name: Format, packed: Mapping[str, str] | None) -> Any:
    if name is Format.CYCLONEDX:
        from glaas.exports.cyclonedx import cyclonedx_bom  # noqa: PLC0415  see above

        return cyclonedx_bom(lineage)
    if name is Format.OPENLINEAGE:
        from glaas.exports.openlineage import openlineage_events  # noqa: PLC0415

        return openlineage_events(lineage)
    if name is Format.PROV:
        from glaas.exports.prov import prov_document  # noqa: PLC0415

        return prov_document(lineage)
    from glaas.exports.ro_crate import ro_crate  # noqa: PLC0415

    return ro_crate(lineage, packed)
