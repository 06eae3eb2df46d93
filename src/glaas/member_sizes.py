"""How large the members of a dataset are. Its digest does not say, so two projects may tell it differently."""

import functools
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, null, select

from glaas import models
from glaas.access import Viewer, visible
from glaas.db import QUERIES_KEPT, ForEach


class MemberSizes:
    """The sizes of the members of some datasets as projects that the viewer may see told them.

    They are asked for once a member is: most pages show none.
    """

    def __init__(self, connection: Connection, viewer: Viewer, datasets: Iterable[bytes]) -> None:
        self._connection = connection
        self._viewer = viewer
        self._datasets = sorted(set(datasets))

    @functools.cached_property
    def _others(self) -> dict[bytes, list[int]]:
        rows = _told(self._viewer).rows(self._connection, self._datasets)
        return {dataset: row.sizes for dataset, row in rows if row.sizes is not None}

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
