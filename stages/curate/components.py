"""Components: videos that a chain of relations connects, and that therefore must stay in one split."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def links(videos: pl.DataFrame, near: pl.DataFrame, relations: Collection[str]) -> pl.DataFrame:
    """What connects videos: rows of relation, content_id, value; videos with equal relation and value belong together.

    Args:
        videos: of `videos_of`.
        near: pairs content_id_a, content_id_b of near-duplicates.
        relations: `identity`: a person or group; `source`: made from the same video, which need not be there; `pair`: a
            video and the one it was made from; `near_duplicate`; `content`: the same bytes, which are one row of `videos`.
    """
    sourced = videos.select("content_id", value="sources").explode("value").drop_nulls()
    # A forgery and its original meet at the original's uri; so do all forgeries of one original, whether it is there or not.
    own = videos.select("content_id", value="uris").explode("value").drop_nulls()
    pairs = sourced.join(own, on="value", suffix="_original").filter(pl.col("content_id") != pl.col("content_id_original"))
    tables = {
        "identity": videos.select("content_id", value="identity").explode("value").drop_nulls(),
        "source": sourced,
        "pair": _both_ends(pairs.select("content_id", other="content_id_original")),
        "near_duplicate": _both_ends(near.select(content_id="content_id_a", other="content_id_b")),
        "content": videos.select("content_id", value="content_id"),
    }
    known = [t.select(pl.lit(name).alias("relation"), "content_id", "value") for name, t in tables.items() if name in relations]
    return pl.concat(known).unique().sort("relation", "value", "content_id")


def components_of(content_ids: pl.Series, linked: pl.DataFrame) -> pl.DataFrame:
    """content_id, component: numbered from 0 in the order of the smallest content_id of each.

    Args:
        content_ids: of the videos, unique.
        linked: of `links`; rows of other videos are passed over.
    """
    nodes = pl.DataFrame({"content_id": content_ids.sort()}).with_row_index("node")
    rows = linked.join(nodes, on="content_id", how="inner")
    values = rows.select("relation", "value").unique(maintain_order=True).with_row_index("hub")
    edges = rows.join(values, on=["relation", "value"], how="inner")
    size = nodes.height + values.height
    ends = edges["node"].to_numpy().astype(np.int64), edges["hub"].to_numpy().astype(np.int64) + nodes.height
    _, labels = connected_components(coo_array((np.ones(edges.height, np.int8), ends), shape=(size, size)), directed=False)
    # scipy's numbers depend on the order of nodes, which is sorted; number anew so that hubs without videos leave no holes.
    _, first, inverse = np.unique(labels[: nodes.height], return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return nodes.select("content_id").with_columns(component=pl.Series(order[inverse], dtype=pl.Int32))


def _both_ends(pairs: pl.DataFrame) -> pl.DataFrame:
    """content_id and other: each pair as two rows of one value, which names the pair."""
    low, high = pl.min_horizontal("content_id", "other"), pl.max_horizontal("content_id", "other")
    named = pairs.with_columns(value=pl.concat_str(low, pl.lit(" "), high))
    return pl.concat([named.select("content_id", "value"), named.select(content_id="other", value="value")])
