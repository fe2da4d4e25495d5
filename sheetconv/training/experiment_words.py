"""What an experiment showed, in words that are made of its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..summary import table_lines
from .page_words import counted

if TYPE_CHECKING:
    from .evaluation import Evaluation
    from .experiments import ExperimentResult, VariantRun

# What chance makes less often than this is taken for more than chance.
_RARE = 0.05


@dataclass(frozen=True, slots=True)
class _Finding:
    """Which of two is better in one thing, if either is, and how that is said."""

    better: str
    words: str


def sentence_of(result: ExperimentResult) -> str:
    """What was seen, in one sentence.

    Args:
        result: of two variants, of which at least one was trained to the end.
    """
    table: Any = result.table
    one, other = result.variants
    said = _said(result)
    for name, rival in ((one, other), (other, one)):
        if math.isnan(table.loc[name, "accuracy"]):
            return (
                f"{capital(said[name])} diverged, and {said[rival]} reached an accuracy of "
                f"{percent(table.loc[rival, 'accuracy'])} and a validation loss of "
                f"{table.loc[rival, 'valid_loss']:.4f}."
            )
    accuracy = _compared(result, "accuracy", percent, higher=True)
    loss = _compared(result, "valid_loss", "{:.4f}".format, higher=False)
    epochs = counted(int(result.epochs.index.get_level_values("epoch").max()), "epoch")
    count = len(result.seeds)
    when = f"After {epochs}" + (f", on average over {count} seeds," if count > 1 else "")
    better = said.get(accuracy.better, "both")
    if accuracy.better and accuracy.better == loss.better:
        seen = f"{better} has {accuracy.words}, and {loss.words}"
    elif accuracy.better and loss.better:
        seen = f"{better} has {accuracy.words}, but {said[loss.better]} has {loss.words}"
    elif accuracy.better or loss.better:
        told, equal = (accuracy, loss) if accuracy.better else (loss, accuracy)
        seen = f"{said[told.better]} has {told.words}, and both have {equal.words}"
    else:
        seen = f"both have {accuracy.words}, and {loss.words}"
    return f"{when} {seen}."


def _said(result: ExperimentResult) -> dict[str, str]:
    """What sentences call the variants."""
    return {run.variant.name: run.variant.said for run in result.first}


def _compared(
    result: ExperimentResult, measure: str, text: Callable[[float], str], *, higher: bool
) -> _Finding:
    one, other = result.variants
    what = "accuracy" if measure == "accuracy" else "validation loss"
    means = result.table[measure]
    texts = {name: text(means[name]) for name in (one, other)}
    # What nobody sees in the digits that are shown is no difference.
    if texts[one] == texts[other]:
        return _Finding("", f"the same {what}, {texts[one]}")
    best, worst = (one, other) if (means[one] > means[other]) == higher else (other, one)
    often = ""
    if len(result.seeds) > 1:
        values = result.by_seed[measure]
        won = (values[best] > values[worst]) if higher else (values[best] < values[worst])
        often = f" ({int(won.sum())} of {len(result.seeds)} times)"
    kind = "higher" if higher else "lower"
    return _Finding(best, f"the {kind} {what}, {texts[best]} against {texts[worst]}{often}")


def notes_of(result: ExperimentResult) -> list[str]:
    """What was done to the layers, what diverged, and how sure the result is.

    Args:
        result: of an experiment.
    """
    one, other = result.first
    notes = [
        f"{capital(run.variant.name)}: {' '.join(run.variant.notes)}"
        for run in result.first
        if run.variant.notes
    ]
    for run in result.runs:
        if run.trouble:
            seed = f" with seed {run.seed}" if len(result.seeds) > 1 else ""
            why = run.trouble.split(";")[0]
            notes.append(f"{capital(run.variant.name)}{seed} diverged: {why}.")
    if len(result.seeds) > 1:
        return notes
    if one.judged is not None and other.judged is not None:
        notes.append(_right_alone(one, other, one.judged, other.judged))
    return [*notes, "Both have one seed: --seeds 5 shows how much depends on it."]


def _right_alone(one: VariantRun, other: VariantRun, first: Evaluation, second: Evaluation) -> str:
    """How many images only one knows, and what chance has to do with it (McNemar's test)."""
    mine = int((first.right & ~second.right).sum())
    theirs = int((second.right & ~first.right).sum())
    best, worst = one.variant.said, other.variant.said
    if theirs > mine:
        best, worst = worst, best
    chance = chance_of(mine, theirs)
    sure = "p < 0.001" if chance < 0.001 else f"p = {chance:.2g}"
    verdict = "is hardly" if chance < _RARE else "may well be"
    few = min(mine, theirs)
    return (
        f"Of {counted(len(first), 'validation image')}, {best} gets {max(mine, theirs):,} "
        f"right that {worst} gets wrong; the other way round there {'is' if few == 1 else 'are'} "
        f"{few:,}: that {verdict} chance in the choice of images ({sure})."
    )


def chance_of(one: int, other: int) -> float:
    """How often equal chances would part so many cases as unevenly, or more so.

    Args:
        one, other: how many fell on either side.

    Example:
        >>> chance_of(1, 4), chance_of(0, 0)                     # 2 * (1 + 5) / 2**5
        (0.375, 1.0)
    """
    total = one + other
    if total <= 1000:
        ways = sum(math.comb(total, k) for k in range(min(one, other) + 1))
        return min(1.0, float(2 * ways / 2**total))
    # As good as the same from here on, and without numbers of hundreds of digits.
    return math.erfc((abs(one - other) - 1) / math.sqrt(2 * total))


def result_lines(result: ExperimentResult) -> list[str]:
    """The results as a table for the terminal.

    Args:
        result: of an experiment.
    """
    rows = [["variant", "parameters", "training loss", "validation loss", "accuracy"]]
    rows[0] += ["seconds", "images/s"]
    for name, own in result.table.iterrows():
        measured = []
        for key in ("train_loss", "valid_loss", "accuracy"):
            text = percent if key == "accuracy" else "{:.4f}".format
            mean, spread = own[key], own.get(f"{key}_spread", math.nan)
            deviation = "" if math.isnan(spread) else f" \u00b1 {text(spread)}"
            measured.append("diverged" if math.isnan(mean) else f"{text(mean)}{deviation}")
        speed = own["images_per_second"]
        seen = "" if math.isnan(speed) else f"{speed:,.0f}"
        parameters = f"{int(own['parameters']):,}"
        rows.append([str(name), parameters, *measured, f"{own['seconds']:.1f}", seen])
    return table_lines(rows, set(range(1, len(rows[0]))))


def percent(share: float) -> str:
    """A share for people.

    Example:
        >>> percent(0.98765)
        '98.77%'
    """
    return f"{100 * share:.2f}%"


def capital(text: str) -> str:
    """A text as the beginning of a sentence."""
    return text[0].upper() + text[1:]
