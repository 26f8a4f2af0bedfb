"""Targets: what each clip is called, by the truth and by the labels, and how far the two are apart."""

from __future__ import annotations

import polars as pl

from schemas.curation import TargetParams
from schemas.timebase import TICKS_PER_S
from stages.curate.spans import LIST, in_clips, joined, long_spans

_FLOOR = 1e-3
"""Probabilities are kept this far from 0 and 1: the loss of a half-precision 0 would be without end."""
_STREAMS = {"audio": "truth_audio_spans", "visual": "truth_visual_spans"}


def with_targets(clips: pl.DataFrame, segments: pl.DataFrame, params: TargetParams) -> pl.DataFrame:
    """Adds what truth and prediction say.

    Args:
        clips: of `clips_of`, joined with `videos_of` by content_id; `clip` numbers the rows.
        segments: rows of SEGMENTS, for the spans of clips whose target is a prediction.
        params: who says what a clip is.

    Returns:
        The clips, in their order, with truth_target, predicted_target, target, target_from, fake_spans, audio_fake, visual_fake,
        fake_share, edges, modality, agreement, loss. target is null where nobody knows, and where a clip is neither: less
        fake time than `min_fake_ticks`.
    """
    clips = _by_truth(clips, params)
    clips = _by_prediction(clips, segments, params)
    use_truth = {
        "truth": pl.lit(True),
        "prediction": pl.lit(False),
        "truth_then_prediction": pl.col("truth_fake").is_not_null(),
    }[params.target_from]
    chosen = {
        name: pl.when(use_truth).then(f"truth_{name}").otherwise(f"predicted_{name}").alias(out)
        for name, out in (("target", "target"), ("clip_spans", "fake_spans"), ("audio", "audio_fake"), ("visual", "visual_fake"))
    }
    p = pl.col("p").clip(_FLOOR, 1 - _FLOOR)
    return clips.with_columns(
        *chosen.values(), target_from=pl.when(use_truth).then(pl.lit("truth")).otherwise(pl.lit("prediction"))
    ).with_columns(
        modality=_modality(),
        agreement=pl.col("truth_target") == pl.col("predicted_target"),
        loss=pl.when(truth_target="fake").then(-p.log()).when(truth_target="real").then(-(1 - p).log()),
    )  # fmt: skip


def _by_truth(clips: pl.DataFrame, params: TargetParams) -> pl.DataFrame:
    prefix = "truth_" if params.head == "total" else f"truth_{params.head}_"
    fake = pl.col(f"{prefix}fake")
    videos = clips.unique("content_id", keep="first", maintain_order=True)
    own = _touched(clips, videos, f"{prefix}spans", "own")
    streams = [_touched(clips, videos, column, stream) for stream, column in _STREAMS.items()]
    anything = _touched(clips, videos, "truth_spans", "any")
    for part in (own, anything, *streams):
        clips = clips.join(part, on="clip", how="left", maintain_order="left")
    whole = fake & pl.col(f"{prefix}spans").is_null()
    all_of_it = pl.concat_list(pl.concat_list(pl.col("start_us") / 1e6, pl.col("end_us") / 1e6).list.to_array(2))
    length_s = (pl.col("end_us") - pl.col("start_us")) / 1e6
    known = pl.when(whole).then(length_s).when(fake).then(pl.col("own_s").fill_null(0.0)).otherwise(0.0)
    spans = pl.when(whole).then(all_of_it).when(fake).then(_or_none("own_spans")).when(~fake).then(_none())
    clips = clips.with_columns(
        truth_clip_spans=spans,
        fake_share=pl.when(fake.is_not_null()).then(known / length_s),
        edges=pl.when(fake.is_not_null()).then(pl.when(fake & ~whole).then(pl.col("own_edges").fill_null(0)).otherwise(0)),
        fake_s=known,
        **{f"truth_{stream}": _stream(stream, column) for stream, column in _STREAMS.items()},
    )
    enough = pl.col("fake_s") * TICKS_PER_S >= params.min_fake_ticks - 1e-3
    real = ~fake if params.real_parts == "drop" else pl.col("fake_s") == 0
    target = pl.when(fake.is_null()).then(None).when(enough & fake).then(pl.lit("fake")).when(real).then(pl.lit("real"))
    return clips.with_columns(truth_target=target).drop("fake_s", "own_spans", "own_s", "own_edges", "any_s", *(f"{s}_s" for s in _STREAMS))


def _touched(clips: pl.DataFrame, videos: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    found = in_clips(clips, long_spans(videos, ["content_id"], column), ["content_id"])
    if name == "own":
        return found.select("clip", own_spans="spans", own_s="fake_s", own_edges="edges")
    return found.select("clip", pl.col("fake_s").alias(f"{name}_s"))


def _stream(stream: str, column: str) -> pl.Expr:
    """Whether that stream of the clip is fake. Where nobody says when, all of it is, or what the spans of both streams leave open."""
    other = next(name for name in _STREAMS if name != stream)
    spans_of_both = (
        pl.when(pl.col("truth_spans").is_null()).then(True)
        .when(pl.col("any_s").is_null()).then(False)
        .when(~pl.col(f"truth_{other}_fake")).then(True)
    )  # fmt: skip
    own = pl.when(pl.col(column).is_null()).then(spans_of_both).otherwise(pl.col(f"{stream}_s").is_not_null())
    return pl.when(pl.col(f"truth_{stream}_fake")).then(own).otherwise(pl.col(f"truth_{stream}_fake"))


def _by_prediction(clips: pl.DataFrame, segments: pl.DataFrame, params: TargetParams) -> pl.DataFrame:
    labelled = pl.col("labelled_share") > 0
    more_than_half = (pl.col("labelled_share") * pl.col("frames")).round() / 2
    says_fake, says_real = (pl.col(f"{word}_frames") > more_than_half for word in ("fake", "real"))
    vote = pl.when(says_fake).then(pl.lit("fake")).when(says_real).then(pl.lit("real"))
    if params.head != "total":  # labels are of the total head; the others have spans only
        has_p = pl.col("p").is_not_null()
        vote = pl.when(has_p & pl.col("predicted_s").is_not_null()).then(pl.lit("fake")).when(has_p).then(pl.lit("real"))
        labelled = has_p
    found = {m: _segments(clips, segments, m) for m in ("total", "audio", "visual")}
    for modality, part in found.items():
        columns = part.select("clip", pl.col("spans").alias(f"{modality}_seg"), pl.col("fake_s").alias(f"{modality}_seg_s"))
        clips = clips.join(columns, on="clip", how="left", maintain_order="left")
    head = params.head
    by_sight = pl.col("p_total").is_null() & pl.col("p_visual").is_not_null()
    spans, seconds = pl.col(f"{head}_seg"), pl.col(f"{head}_seg_s")
    if head == "total":
        spans = pl.when(by_sight).then("visual_seg").otherwise(spans)
        seconds = pl.when(by_sight).then("visual_seg_s").otherwise(seconds)
    clips = clips.with_columns(predicted_s=seconds, own_seg=spans)
    clips = clips.with_columns(
        predicted_target=pl.when(labelled).then(vote),
        predicted_clip_spans=pl.when(labelled).then(_or_none("own_seg")),
        **{f"predicted_{s}": pl.when(pl.col(f"p_{s}").is_not_null()).then(pl.col(f"{s}_seg_s").is_not_null()) for s in _STREAMS},
    )
    return clips.drop("predicted_s", "own_seg", *(f"{m}_seg" for m in found), *(f"{m}_seg_s" for m in found))


def _segments(clips: pl.DataFrame, segments: pl.DataFrame, modality: str) -> pl.DataFrame:
    own = segments.filter(pl.col("modality") == modality)
    # Sound has no track; and a clip of the whole picture is as fake as any face in it.
    keys = ["content_id"] if modality == "audio" or clips["track"].is_null().all() else ["content_id", "track"]
    return in_clips(clips, joined(own.select(*keys, "start_s", "end_s"), keys), keys)


def _or_none(column: str) -> pl.Expr:
    return pl.coalesce(column, _none())


def _none() -> pl.Expr:
    return pl.lit([], LIST)


def _modality() -> pl.Expr:
    audio, visual = pl.col("audio_fake"), pl.col("visual_fake")
    return (
        pl.when(audio & visual).then(pl.lit("both"))
        .when(audio & ~visual).then(pl.lit("audio"))
        .when(visual & ~audio).then(pl.lit("visual"))
        .when(~audio & ~visual).then(pl.lit("real"))
        .otherwise(pl.lit("unknown"))
    )  # fmt: skip
