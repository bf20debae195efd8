"""Who reads this shop best: a model of its own stars, one taught on public sentences, TextBlob with rules, or VADER?

Judged on texts later than any a model was trained on and in phrasings it has not seen. The shop's model is used only
where it is better than each of the others beyond the noise of that comparison. Else the reader taught on the sentences
of others reads, unless TextBlob with rules is better on the shop's own stars beyond the same noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.feedback import learning, phrasing
from crmlib.analysis.feedback.language import is_english
from crmlib.analysis.feedback.learning import MIN_RATED, cells, macro_f1
from crmlib.analysis.feedback.moods import Scores, scores
from crmlib.analysis.feedback.normalising import bounded
from crmlib.analysis.feedback.reading import Reader, text_key
from crmlib.analysis.feedback.taught import NAME, SENTENCES, shipped
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate, outline
from crmlib.shop.shop import Shop
from crmlib.stats.resampling import resampled

_NAMES = {"model": "the shop's own model", "taught": NAME, "rules": "TextBlob with rules", "textblob": "TextBlob alone"}
NAMES: Mapping[str, str] = MappingProxyType(_NAMES | {"vader": "VADER"})
READERS = tuple(NAMES)
_CONTEST = ("reader", "macro_f1", "low", "high", "lead", "lead_low", "lead_high", "over_taught_low", "over_taught_high")
MIN_PHRASINGS = 60  # phrasings on either side of the stars below which nothing is learnt
MOST = 8000  # distinct rated texts that are learnt from, the newest
ORIGINS = (0.55, 0.7, 0.85, 1.0)  # each model is trained up to one share of the dated texts and judged up to the next


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What came of the contest, and the reader to use.

    contest   reader (one of READERS, without 'model' where nothing could be learnt), macro_f1, low, high, how far the
              model is ahead: lead, lead_low, lead_high, and how far the reader is ahead of the taught one:
              over_taught_low, over_taught_high (all paired, over phrasings)
    tested    texts judged, `phrasings` how many different; `origins` the days up to which the models were trained
    reciting  macro F1 of the model on the same texts when it may have seen their phrasing: flattering, decides nothing
    """

    __repr__ = outline

    reader: Reader
    contest: pd.DataFrame
    tested: int
    phrasings: int
    reason: str
    origins: tuple[date, ...] = ()
    reciting: float | None = None

    @property
    def chosen(self) -> bool:
        """Does the model read?"""
        return self.reader.learnt is not None

    @property
    def used(self) -> str:
        """Who reads: one of READERS."""
        return "model" if self.chosen else ("taught" if self.reader.taught else "rules")

    def of(self, reader: str) -> tuple[float | None, float | None, float | None]:
        """Macro F1 of a reader with its interval; all None where it was not judged."""
        row = self.contest[self.contest["reader"] == reader]
        if row.empty:
            return None, None, None
        return float(row["macro_f1"].iloc[0]), float(row["low"].iloc[0]), float(row["high"].iloc[0])


def learn(shop: Shop, texts: ir.Table, *, reader: Reader, seed: int = 0, draws: int = 1000) -> Learning:
    """Does a model of this shop's own stars read better than readers that know no shop, and who should read?

    One and two stars are negative, four and five positive, three and none teach nothing. `seed` draws folds and
    resamples.
    """
    rng = np.random.default_rng(seed)
    rated, known = _rated(shop, texts)
    usable = rated.assign(group=phrasing.groups(list(rated["marks"])) if len(rated) else 0)
    reader = replace(reader, known=MappingProxyType(known))
    sides = usable.groupby("bad")["group"].nunique()
    few = int(sides.min()) if len(sides) == 2 else 0
    if few < MIN_PHRASINGS:
        reason = f"nothing was learnt from this shop's own stars: that needs {MIN_PHRASINGS} different phrasings with "
        reason += f"one or two and with four or five stars, and the rarer side has {few}"
        return _untaught(usable, reader=reader, rng=rng, draws=draws, reason=reason)
    examples = _examples(usable, known)
    tested, origins, strength = _tested(usable, known, vocabulary=examples.vocabulary, rng=rng)
    if min(tested["bad"].sum(), (~tested["bad"]).sum()) < MIN_RATED:
        reason = f"a model of this shop's own stars could not be judged: fewer than {MIN_RATED} later texts carry one "
        reason += "or two, or four or five, stars"
        return _untaught(usable, reader=reader, rng=rng, draws=draws, reason=reason)
    contest = _contest(tested, readers=READERS, rng=rng, draws=draws)
    rivals = contest[contest["reader"] != "model"].sort_values("lead_low")
    if (rivals["lead_low"] > 0).all():
        usual = float(usable["bad"].mean())
        model = learning.learnt(examples, strength=strength, usual=usual, rng=rng)
        reader = replace(reader, learnt=model)
        reason = "a model learnt from this shop's own stars reads: it beat every other on later texts it had not seen"
    else:
        reader = _ahead(reader, contest)
        reason = "a model learnt from this shop's own stars was tried and is not used: it is not clearly better than "
        reason += NAMES[rivals["reader"].iloc[0]]
    reciting = float(macro_f1(cells(tested["bad"], tested["reciting"]).sum(axis=0)))
    size: dict[str, Any] = {"tested": len(tested), "phrasings": int(tested["group"].nunique())}
    return Learning(reader=reader, contest=contest, reason=reason, origins=origins, reciting=reciting, **size)


def _rated(shop: Shop, texts: ir.Table) -> tuple[pd.DataFrame, dict[int, Scores]]:
    """Rated English texts, a row each: key, text, day, bad, marks; and the scores of each distinct one."""
    rows = []
    known: dict[int, Scores] = {}
    marks: dict[int, frozenset[int]] = {}
    stars = texts.filter(texts["rating"].notnull() & (texts["rating"] != 3))
    for chunk in shop.stream(stars.select("feedback_id", "text", "language", "day", "rating").order_by("feedback_id")):
        for row in chunk.itertuples():
            key = text_key(row.text)
            if key not in known:
                if not is_english(row.text, language=row.language if isinstance(row.language, str) else None):
                    continue
                known[key], marks[key] = scores(row.text), phrasing.signatures(bounded(row.text))
            rows.append((key, bounded(row.text), row.day, row.rating <= 2, marks[key]))
    frame = pd.DataFrame(rows, columns=["key", "text", "day", "bad", "marks"])
    frame = frame.assign(day=pd.to_datetime(frame["day"]), bad=frame["bad"].astype(bool))
    by_day = frame.sort_values("day", kind="stable", na_position="first")
    newest = by_day.drop_duplicates("key", keep="last")["key"].tail(MOST)
    return frame[frame["key"].isin(newest)].reset_index(drop=True), known


def _examples(
    rows: pd.DataFrame, known: Mapping[int, Scores], *, vocabulary: learning.Vocabulary | None = None
) -> learning.Examples:
    """One row a distinct text and side; a text written n times weighs 1 + log n, shared out as its stars were."""
    sides = rows.groupby(["key", "bad"], sort=True)[["text", "group", "marks"]]
    counted = sides.first().assign(times=sides.size()).reset_index()
    total = counted.groupby("key")["times"].transform("sum")
    vocabulary = vocabulary or learning.vocabulary(counted["text"].drop_duplicates().tolist())
    return learning.Examples(
        counts=vocabulary.counts(counted["text"].tolist()),
        scores=learning.matrix([known[key] for key in counted["key"]]),
        negative=counted["bad"].to_numpy(float),
        weight=((1 + np.log(total)) * counted["times"] / total).to_numpy(float),
        group=counted["group"].to_numpy(np.int64),
        vocabulary=vocabulary,
        marks=list(counted["marks"]),
    )


def _tested(
    usable: pd.DataFrame, known: Mapping[int, Scores], *, vocabulary: learning.Vocabulary, rng: np.random.Generator
) -> tuple[pd.DataFrame, tuple[date, ...], float]:
    """Later texts as each reader calls them, the days up to which models were trained, and the regularisation used."""
    dated = usable[usable["day"].notna()].sort_values("day", kind="stable")
    days = dated["day"].to_numpy()
    judged: list[pd.DataFrame] = []
    origins: list[date] = []
    strength = 0.0
    for start, end in itertools.pairwise(ORIGINS) if len(dated) else ():
        since = days[int(start * (len(dated) - 1))]
        until = days[int(end * (len(dated) - 1))] if end < 1 else days[-1] + np.timedelta64(1, "D")
        before, after = dated[days < since], dated[(days >= since) & (days < until)]
        sides = before.groupby("bad")["group"].nunique()
        if len(sides) < 2 or after.empty or sides.min() < MIN_PHRASINGS / 2:
            continue
        earlier = _examples(before, known, vocabulary=vocabulary)
        strength = strength or learning.chosen_strength(earlier, rng=rng)
        judged.append(_judged(earlier, after, known, strength=strength, rng=rng))
        origins.append(pd.Timestamp(since).date())
    tested = pd.concat(judged) if judged else pd.DataFrame(columns=["bad", "group", *READERS], dtype=bool)
    return tested, tuple(origins), strength


def _judged(
    earlier: learning.Examples,
    after: pd.DataFrame,
    known: Mapping[int, Scores],
    *,
    strength: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """What each reader calls negative among later texts; the model without their phrasing, and as it is ('reciting').

    Phrasings are dealt into folds over the whole time. A later text is read by the model of earlier texts that leaves
    its fold out, so nothing it was trained on was later or alike.
    """
    by_group = replace(earlier, marks=[frozenset([group]) for group in earlier.group])
    model = learning.learnt(by_group, strength=strength, usual=1.0, rng=rng)
    once = after.drop_duplicates("key")
    texts, scored = once["text"].tolist(), learning.matrix([known[key] for key in once["key"]])
    groups, none = [frozenset([group]) for group in once["group"]], [frozenset[int]()] * len(once)
    said = _strangers(once, known)
    for name, marks in (("model", groups), ("reciting", none)):
        said[name] = model.probabilities(texts, scored, marks=marks) > model.cut
    return after[["bad", "group"]].assign(**{name: said[name].loc[after["key"]].to_numpy() for name in said})


def _strangers(once: pd.DataFrame, known: Mapping[int, Scores]) -> pd.DataFrame:
    """What readers that know no shop call negative, by key: a strength below 0.

    Where one hears nothing it goes with the many, who are content.
    """
    scored = [known[key] for key in once["key"]]
    said: dict[str, Any] = {"taught": shipped().strengths(once["text"].tolist(), scored)}
    said |= {"rules": [score.wording for score in scored]}
    said |= {name: [getattr(score, name) for score in scored] for name in ("textblob", "vader")}
    return pd.DataFrame(said, index=once["key"]) < 0


def _ahead(reader: Reader, contest: pd.DataFrame) -> Reader:
    """The rules alone where they are ahead of the taught reader beyond the noise of the shop's own stars.

    The taught reader was ahead on every set kept aside, so a near tie on one shop does not turn the choice about.
    """
    rules_ahead = bool(contest.set_index("reader").loc["rules", "over_taught_low"] > 0)
    return replace(reader, taught=reader.taught and not rules_ahead)


def _contest(rows: pd.DataFrame, *, readers: Sequence[str], rng: np.random.Generator, draws: int) -> pd.DataFrame:
    """Macro F1 of each reader on the same texts, phrasings resampled together, and the model's lead over each."""
    each = [cells(rows["bad"], rows[name]) for name in readers]
    drawn = resampled(np.hstack(each), rows["group"], rng=rng, draws=draws)
    values = np.array([float(macro_f1(counts.sum(axis=0))) for counts in each])
    draws_of = np.array([macro_f1(drawn[:, 4 * i : 4 * i + 4]) for i in range(len(readers))])
    low, high = np.nanquantile(draws_of, (0.025, 0.975), axis=1)
    frame = pd.DataFrame({"reader": readers, "macro_f1": values, "low": low, "high": high})
    frame = frame.assign(lead=np.nan, lead_low=np.nan, lead_high=np.nan)
    over = np.nanquantile(draws_of - draws_of[list(readers).index("taught")], (0.025, 0.975), axis=1)
    frame["over_taught_low"], frame["over_taught_high"] = over
    if "model" in readers:
        first = list(readers).index("model")
        lead_low, lead_high = np.nanquantile(draws_of[first] - draws_of, (0.025, 0.975), axis=1)
        frame = frame.assign(lead=values[first] - values, lead_low=lead_low, lead_high=lead_high)
        frame.loc[first, ["lead", "lead_low", "lead_high"]] = np.nan
    return frame


def _untaught(rated: pd.DataFrame, *, reader: Reader, rng: np.random.Generator, draws: int, reason: str) -> Learning:
    """Without a model the other readers are graded on all rated texts, where there are enough of either side."""
    contest = pd.DataFrame(columns=list(_CONTEST))
    bad = int(rated["bad"].sum())
    if min(bad, len(rated) - bad) < MIN_RATED:
        return Learning(reader=reader, contest=contest, tested=0, phrasings=0, reason=reason)
    rows = rated.join(_strangers(rated.drop_duplicates("key"), reader.known), on="key")
    contest = _contest(rows, readers=READERS[1:], rng=rng, draws=draws)
    phrasings = int(rated["group"].nunique())
    reader = _ahead(reader, contest)
    return Learning(reader=reader, contest=contest, tested=len(rated), phrasings=phrasings, reason=reason)


def part_readers(learning: Learning) -> Part:
    """Who reads best? Macro F1 with its range, each reader on the same texts."""
    used = NAMES[learning.used]
    frame = learning.contest.sort_values("macro_f1", ascending=False, kind="stable")
    frame = frame.assign(
        name=[wording.upper(NAMES[name]) for name in frame["reader"]], used=frame["reader"] == learning.used
    )
    labels = {"name": "Reader", "macro_f1": "Macro F1", "low": "From", "high": "To"}
    if learning.of("model")[0] is None:
        title = f"{wording.upper(used)} reads the texts; there is no model of this shop yet"
        sentence = f"{wording.upper(learning.reason)}."
    else:
        better = "better than every other" if learning.chosen else f"no better than {NAMES[_rival(learning)]}"
        title = f"A model of the shop's own stars reads {better}"
        sentence = "So the model is used." if learning.chosen else f"So a simpler one is used: {used}."
        labels |= {"lead": "Lead of the shop's own model", "lead_low": "Lead from", "lead_high": "Lead to"}
    caption = "Macro F1 by reader, and how far the shop's own model is ahead of it (paired)"
    forms = dict.fromkeys(labels.keys() - {"name"}, _two)
    table = figures.tabulate(frame, caption=caption, labels=labels, formats=forms, file="tables/readers.csv")
    said: dict[str, Any] = {"what": "Macro F1 (1 is perfect)", "form": _two, "strong": "used", "table": table}
    caption = "Against stars, one and two against four and five, on every text."
    chart = figures.dots(frame, value="macro_f1", caption=caption, **said)
    return Part(
        title=title,
        sentence=sentence,
        detail=True,
        chart=chart if len(frame) else None,
        metrics=_metrics(learning),
        method=[_judged_words(learning), _TAUGHT_WORDS],
        tables={"readers": learning.contest},
    )


_TAUGHT_WORDS = (
    f"The public sentences are {SENTENCES:,} from Yelp and IMDb, labelled positive or negative by hand (Kotzias and "
    "others 2015, UCI Sentiment Labelled Sentences, licensed CC BY 4.0)."
)


def _rival(learning: Learning) -> str:
    """The reader that the model is least clearly ahead of."""
    others = learning.contest[learning.contest["reader"] != "model"]
    return str(others.sort_values("lead_low")["reader"].iloc[0])


def _two(value: float) -> str:
    return formats.number(value, digits=2)


def _judged_words(learning: Learning) -> str:
    """How the readers were judged, and what came of it."""
    if learning.of("model")[0] is None:
        text = f"The software is checked against your own star ratings; {learning.reason}. So {NAMES[learning.used]}"
        return f"{text} reads{_two_compared(learning)}."
    said = ", ".join(f"{_two(learning.of(name)[0] or 0)} for {NAMES[name]}" for name in READERS)
    text = f"We checked the software against your own star ratings: on {learning.tested:,} later texts in "
    text += f"{learning.phrasings:,} phrasings left out of training, macro F1 is {said}."
    if not learning.chosen:
        rival = learning.contest.set_index("reader", drop=False).loc[_rival(learning)]
        lead = f"between {_two(rival['lead_low'])} and {_two(rival['lead_high'])}"
        text += f" Against {NAMES[rival['reader']]} the model's lead is {lead}: a tie goes to the simpler."
        text += f" So {NAMES[learning.used]} reads."
    if learning.reciting is not None:
        text += f" Had it known their phrasing, the model would seem to reach {learning.reciting:.2f}."
    return text


def _two_compared(learning: Learning) -> str:
    """How the two that may read without a model did on the shop's stars; nothing where there are too few."""
    other = "rules" if learning.used == "taught" else "taught"
    own, others = learning.of(learning.used)[0], learning.of(other)[0]
    if own is None or others is None:
        return ""
    chance = ", a lead that may be chance" if others > own else ""
    return f": on your stars its macro F1 is {_two(own)}, that of {NAMES[other]} {_two(others)}{chance}"


def _metrics(learning: Learning) -> list[Metric]:
    """Macro F1 of each reader on the same texts; None where it was not judged."""
    where = "on all rated English texts, 3 stars left out; 95 % interval over phrasings"
    if learning.origins:
        days = ", ".join(formats.day(day) for day in learning.origins)
        where = (
            f"on rated texts later than training (from {days}) in phrasings left out of training, 3 stars left out; "
        )
        where += "95 % interval over phrasings"
    found = []
    for reader, name in NAMES.items():
        value, low, high = learning.of(reader)
        id_, label = f"macro_f1_{reader}", f"Macro F1 of {name}"
        if reader == "model":
            id_, label = "macro_f1", "Macro F1 of a model of this shop"
        nothing = Metric(id=id_, label=label, value=None, unit="index", definition=learning.reason)
        if reader == "model" and not learning.chosen:
            # A grade of a model that does not read says nothing of this page's readings.
            found.append(nothing)
            id_, label = "macro_f1_tried", f"{label}, tried and not used"
        if value is not None:
            f1 = Estimate(value=value, unit="index", n=learning.tested, low=low, high=high)
            found.append(Metric.of(f1, id=id_, label=label, definition=where))
        elif nothing not in found:
            found.append(nothing)
    return found
