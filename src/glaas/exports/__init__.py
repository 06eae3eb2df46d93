"""A registered session in formats of others: CycloneDX, OpenLineage, PROV. Tracker runs are in each as references."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from glaas.exports.cyclonedx import cyclonedx_bom
from glaas.exports.openlineage import openlineage_events
from glaas.exports.prov import prov_document
from glaas.exports.session import Session

__all__ = ["EXPORTS", "Format", "Session"]


class Format(StrEnum):
    """What a session can be exported as."""

    CYCLONEDX = "cyclonedx"
    OPENLINEAGE = "openlineage"
    PROV = "prov"


EXPORTS: dict[Format, Callable[[Session], Any]] = {
    Format.CYCLONEDX: cyclonedx_bom, Format.OPENLINEAGE: openlineage_events, Format.PROV: prov_document}
