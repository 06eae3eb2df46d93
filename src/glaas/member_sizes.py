"""How large the members of a dataset are. Its digest does not say, so two projects may tell it differently."""

import functools
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, null, select

from glaas import models
from glaas.access import Viewer, visible
from glaas.db import QUERIES_KEPT, ForEach


class MemberSizes:
    """The sizes of the members of some datasets as projects that the viewer may see told them."""

    def __init__(self, connection: Connection, viewer: Viewer, datasets: Iterable[bytes]) -> None:
        rows = _told(viewer).rows(connection, sorted(set(datasets)))
        self._others = {dataset: row.sizes for dataset, row in rows if row.sizes is not None}

    def of(self, row: Any) -> int:
        """The size of a member, from its row with `dataset`, `position` and `size`."""
        others = self._others.get(row.dataset)
        return int(row.size if others is None else others[row.position])


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _told(viewer: Viewer) -> ForEach:
    """What a visible project told of a dataset: one that told the sizes kept with the members, if there is such."""
    told = models.dataset_project.c
    return ForEach(select(told.sizes).where(visible(viewer, told.project_id)).order_by(
        told.sizes.is_(null()).desc(), told.project_id).limit(1), told.dataset)
