"""What else could explain the result: each confound, the arm that tests it, and what it showed."""

from __future__ import annotations

from chiasm.intervals import Estimate
from chiasm.pictures.words import count, listed, number, percent
from chiasm.report.finding import NEAR_CHANCE, SHIFT, Finding, allows, costs, explains, judge, measured, sentence
from chiasm.report.outcomes import CellOutcome, StudyOutcomes
from chiasm.report.phrases import (
    amount,
    amount_between,
    capital,
    clock_words,
    deficits_of,
    doing,
    level,
    level_between,
    pair_words,
    stretch,
    touched,
)

#: The confounds in the order of the page: key, question, the role of the arms that test it ("" where it is no arm).
QUESTIONS = (
    ("restart", "Is it the learning rate, decayed while the deficit lasted?", ""),
    ("constant", "Does it need a decaying learning rate at all?", ""),
    ("mirror", "Is it that the sources are not alike, in the network or in the data?", "mirror"),
    ("fresh", "Is it that a fixed training set is memorised?", "fresh"),
    ("longer", "Would a longer clean phase heal it?", "longer"),
    ("alone", "Can one source alone solve the task?", "alone"),
    ("deficit", "Do other deficits do the same?", "deficit"),
    ("after", "Did every run have equally many clean epochs?", ""),
    ("total", "Is it that runs trained for different numbers of epochs in total?", "total"),
)
#: What tests the questions that no arm of their own tests.
TESTED_BY = {"restart": "clock since_release", "constant": "clock constant", "after": "the clean phases"}
UNTESTED = "not tested here"


def confounds(outcomes: StudyOutcomes) -> list[Finding]:
    """Say for every confound of `QUESTIONS`, in order, what the study's arms showed, or that it was not tested."""
    ask = {
        "restart": restart,
        "constant": constant,
        "mirror": mirror,
        "fresh": fresh,
        "longer": longer,
        "alone": alone,
        "deficit": deficit,
        "after": after,
        "total": total,
    }
    return [ask[key](outcomes) for key, _, _ in QUESTIONS]


def _untested(about: str, text: str) -> Finding:
    return Finding(about, UNTESTED, f"Not tested here: {text}.")


def _uncontrolled(about: str, cell: CellOutcome, outcomes: StudyOutcomes) -> Finding:
    made = outcomes.mean_score(cell)
    label = outcomes.outcome.quantity.label
    ends = f"has no final {label}" if made is None else f"ends at {level(made.mean, outcomes.outcome)}"
    text = f"{stretch(cell.timeline)}, {count(cell.after, 'clean epoch')} after, {ends}"
    return Finding(
        about, "cannot tell", sentence(f"{text}; there is no control with the same settings to hold it against")
    )


def restart(outcomes: StudyOutcomes) -> Finding:
    """How much of the loss at the longest deficit a restart of the learning rate at release wins back."""
    ends = [outcomes.longest(clock) for clock in ("absolute", "since_release")]
    absolute, again = ends
    control = outcomes.control(absolute) if absolute else None
    if absolute is None or again is None or control is None or absolute.duration != again.duration:
        return _untested("restart", "a learning rate restarted at release, beside the one on absolute epochs")
    curves = [cell.scores() for cell in (control, absolute, again)]
    # One set of seeds throughout: a share of two means over different ones would mean nothing.
    common = set.intersection(*(set(by) for by in curves))
    whole, without, with_ = ({seed: by[seed] for seed in sorted(common)} for by in curves)
    lost, won, left = outcomes.worse(without, whole), outcomes.worse(without, with_), outcomes.cost(again)
    if lost is None or won is None or left is None or min(lost.n, won.n) < 2:
        return Finding("restart", "cannot tell", "Cannot tell what a restart of the learning rate wins back: one seed.")
    if judge(lost, outcomes.outcome) != "cost":
        little = "too little a cost to count" if measured(lost) else "no measurable cost"
        text = f"On absolute epochs the longest deficit has {little}: a restart has nothing to win back."
        return Finding("restart", "no loss to explain", text)
    remains = _remains(left, outcomes)
    if judge(won, outcomes.outcome) != "cost":
        text = f"A restart of the learning rate at release wins back nothing measurable ({amount_between(won, outcomes.outcome)}); "
        text += f"{remains}."
        return Finding("restart", "does not explain it", text)
    means = [sum(outcomes.shown(by).values()) / len(common) for by in (whole, without, with_)]
    gap = abs(means[0] - means[1])
    share, of = (means[2] - means[1]) / (means[0] - means[1]), amount(gap, outcomes.outcome, unit=False)
    text = f"A restart of the learning rate at release wins back {percent(share)} of the loss: {amount_between(won, outcomes.outcome)} "
    text += f"of {of}; {remains}."
    return Finding("restart", explains(left, gap, outcomes.outcome), text)


def _remains(left: Estimate, outcomes: StudyOutcomes) -> str:
    if judge(left, outcomes.outcome) == "cost":
        return f"{amount_between(left, outcomes.outcome)} remain"
    much = "little" if measured(left) else "nothing measurable"
    return f"{much} remains: {amount_between(left, outcomes.outcome)}{allows(left, outcomes.outcome)}"


def constant(outcomes: StudyOutcomes) -> Finding:
    """What the longest deficit costs at a constant learning rate."""
    cell = outcomes.longest("constant")
    lost = outcomes.cost(cell) if cell else None
    if cell is None:
        return _untested("constant", "a constant learning rate")
    if lost is None:
        return _uncontrolled("constant", cell, outcomes)
    told = f"At a constant learning rate {stretch(cell.timeline)} {costs(lost, outcomes.outcome)}"
    verdict = judge(lost, outcomes.outcome)
    if verdict == "cannot tell":
        return Finding("constant", "cannot tell", sentence(told + "; one seed cannot tell"))
    if verdict == "cost":
        return Finding("constant", "cost without decay", sentence(told + "; the cost does not need a decaying rate"))
    return Finding("constant", "no cost without decay", sentence(told))


def mirror(outcomes: StudyOutcomes) -> Finding:
    """Whether the deficit on the other source does the same, with the RSV turned round."""
    cell = _longest_of(outcomes, "mirror")
    partner = _partner(outcomes, cell) if cell else None
    mirrored = outcomes.cost(cell) if cell else None
    straight = outcomes.cost(partner) if partner else None
    if cell is None:
        return _untested("mirror", "the same deficit on the other source")
    if mirrored is None:
        return _uncontrolled("mirror", cell, outcomes)
    told = f"Mirrored, {stretch(cell.timeline)} {costs(mirrored, outcomes.outcome)}"
    if partner is None or straight is None:
        return Finding("mirror", "cannot tell", sentence(told + "; there is no equal deficit on the first side"))
    told += f"; {doing(partner.timeline)} {costs(straight, outcomes.outcome)}"
    verdicts = {judge(mirrored, outcomes.outcome), judge(straight, outcomes.outcome)}
    if "cannot tell" in verdicts:
        return Finding("mirror", "cannot tell", sentence(told + "; one seed cannot tell whether they agree"))
    shifts, turned = "", True
    # Of three sources or more, RSV turns round only where the deficits are on the two that it compares.
    concerned = {*touched(partner.timeline), *touched(cell.timeline)} <= {*outcomes.sources[:2]}
    if outcomes.layers and (concerned or len(outcomes.sources) < 3):
        moves = [outcomes.shift(c, outcomes.layers[0]) for c in (partner, cell)]
        if moves[0] is not None and moves[1] is not None:
            both = [move.mean for move in moves if move is not None]
            shifts = f"; the mean RSV{pair_words(outcomes.sources)} moves by {number(both[0], 2, True)} and, mirrored, "
            shifts += f"by {number(both[1], 2, True)}"
            turned = both[0] * both[1] < 0 or max(map(abs, both)) < SHIFT
    apart = outcomes.worse(cell.scores(), partner.scores())
    if not turned or apart is None:
        named, said = "mirror differs", "The mirror does not agree"
    elif (
        judge(apart, outcomes.outcome) == "none"
    ):  # two costs on either side of what counts may still be one and the same
        named, said = "mirror agrees", "The mirror agrees"
    elif len(verdicts) > 1:
        named, said = "mirror differs", f"The mirror does not agree, {amount_between(apart, outcomes.outcome)} apart"
    else:
        named, said = "agrees in kind", f"The mirror agrees in kind, {amount_between(apart, outcomes.outcome)} apart"
    return Finding("mirror", named, sentence(f"{told}{shifts}. {said}"))


def fresh(outcomes: StudyOutcomes) -> Finding:
    """What the deficit costs when the training data are new in every epoch."""
    cell = _longest_of(outcomes, "fresh")
    if cell is None:
        return _untested("fresh", "fresh training data instead of a fixed set")
    ends = [end.mean for c in outcomes.of("fresh", cell.clock) if (end := outcomes.mean_score(c)) is not None]
    worst, beyond = (min, "below") if outcomes.outcome.higher_is_better else (max, "above")
    floor = f"; no cell with fresh data ends {beyond} {level(worst(ends), outcomes.outcome)}" if len(ends) > 1 else ""
    lost = outcomes.cost(cell)
    if lost is None:
        return _uncontrolled("fresh", cell, outcomes)
    told = f"With fresh data {stretch(cell.timeline)} {costs(lost, outcomes.outcome)}"
    partner = _partner(outcomes, cell)
    fixed = outcomes.cost(partner) if partner else None
    if fixed is not None:
        told += f"; with the fixed training set {amount(fixed.mean, outcomes.outcome)}"
    told += floor
    verdict, before = judge(lost, outcomes.outcome), judge(fixed, outcomes.outcome)
    if "cannot tell" in (verdict, before):
        return Finding("fresh", "cannot tell", sentence(told + "; one seed cannot tell"))
    if fixed is None or before != "cost":
        return Finding("fresh", "no loss to explain" if fixed else "cost known", sentence(told))
    if verdict != "cost":
        named, said = (
            explains(lost, fixed.mean, outcomes.outcome),
            "The cost needs a fixed training set, as memorising it would",
        )
    elif lost.mean <= fixed.mean / 2:
        named, said = explains(lost, fixed.mean, outcomes.outcome), "More than half of it needs a fixed training set"
    else:
        named, said = "does not explain it", "Most of it does not need a fixed training set"
    return Finding("fresh", named, sentence(f"{told}. {said}"))


def longer(outcomes: StudyOutcomes) -> Finding:
    """Whether the loss heals when the clean phase goes on."""
    cells = [c for c in outcomes.of("longer", _clock_of(outcomes, "longer")) if c.duration]
    cell = max(cells, key=lambda c: (c.duration, c.after), default=None)
    lost = outcomes.cost(cell) if cell else None
    if cell is None:
        return _untested("longer", "a longer clean phase")
    if lost is None:
        return _uncontrolled("longer", cell, outcomes)
    partner, control = _partner(outcomes, cell), outcomes.control(cell)
    before = outcomes.cost(partner) if partner else None
    told = f"After {count(cell.after, 'clean epoch')}, {stretch(cell.timeline)} {costs(lost, outcomes.outcome)}"
    if before is not None and partner is not None:
        told += f"; after {partner.after} it was {amount(before.mean, outcomes.outcome)}"
    if control is not None and control.after != cell.after:
        told += f", against a control of {count(control.after, 'epoch')}"
    verdict, was = judge(lost, outcomes.outcome), judge(before, outcomes.outcome)
    if verdict == "cannot tell":
        named, said = "cannot tell", "One seed cannot tell"
    elif before is not None and was != "cost":
        named, said = "no loss to explain", "There was nothing to heal"
    elif verdict == "cost" and before is not None and lost.mean <= before.mean / 2:
        named, said = "heals in part", "It heals by more than half"
    elif verdict == "cost":
        named, said = "does not heal", "It is still there"
    else:
        named, said = "heals", "It heals"
    return Finding("longer", named, sentence(f"{told}. {said}"))


def alone(outcomes: StudyOutcomes) -> Finding:
    """Whether one source, trained and tested alone, is at chance."""
    cells = outcomes.of("alone", _clock_of(outcomes, "alone"))
    said, off = [], False
    single = False
    for cell in cells:
        made, source = outcomes.tested(cell)
        if made is None:
            continue
        name = f"{source} alone" if source else cell.label
        said.append(f"{name} {level_between(made, outcomes.outcome)}")
        single = single or made.n < 2
        off = off or (
            outcomes.chance is not None and abs(made.mean - outcomes.chance) > NEAR_CHANCE * outcomes.outcome.margin
        )
    if not said:
        return _untested("alone", "one source trained and tested alone")
    told = f"Trained and tested alone: {listed(said)}"
    if outcomes.chance is None:
        return Finding("alone", "chance unknown", sentence(told + "; the task's level of chance is not known here"))
    told += f"; chance is {level(outcomes.chance, outcomes.outcome)}"
    if off:
        return Finding("alone", "above chance", sentence(told + ": one source alone is not at chance"))
    seeds = " (one seed)" if single else ""
    return Finding("alone", "at chance", sentence(f"{told}: the task needs more than one source{seeds}"))


def deficit(outcomes: StudyOutcomes) -> Finding:
    """What other deficits cost, each at its longest."""
    clock = _clock_of(outcomes, "deficit")
    longest: dict[str, CellOutcome] = {}
    for cell in sorted(outcomes.of("deficit", clock), key=lambda c: c.duration):
        if cell.duration:
            longest[" + ".join(map(str, deficits_of(cell.timeline)))] = cell
    said = []
    for cell in longest.values():
        lost, made = outcomes.cost(cell), outcomes.mean_score(cell)
        if lost is not None:
            one = " (one seed cannot tell)" if judge(lost, outcomes.outcome) == "cannot tell" else ""
            said.append(f"{stretch(cell.timeline)} {costs(lost, outcomes.outcome)}{one}")
        elif made is not None:
            said.append(f"{stretch(cell.timeline)}: ends at {level(made.mean, outcomes.outcome)}, without a control")
    if not said or clock is None:
        return _untested("deficit", "other kinds of deficit")
    return Finding("deficit", count(len(said), "other deficit"), sentence(f"{'; '.join(said)} ({clock_words(clock)})"))


def after(outcomes: StudyOutcomes) -> Finding:
    """Whether the runs of the main curves had equally many clean epochs after release."""
    cells = [*outcomes.of("duration"), *outcomes.of("onset")]
    lengths = sorted({cell.after for cell in cells})
    if not cells:
        return _untested("after", "there is no duration or onset arm")
    if len(lengths) == 1:
        text = f"Every run of the duration and onset arms had {count(lengths[0], 'clean epoch')} after release."
        return Finding("after", "equal", text)
    text = f"Clean phases differ: {listed([str(n) for n in lengths])} epochs. "
    return Finding(
        "after",
        "not equal",
        text + f"{capital(outcomes.outcome.quantity.label)} after different lengths does not compare.",
    )


def total(outcomes: StudyOutcomes) -> Finding:
    """Whether more clean epochs in total, without any deficit, change where the control ends."""
    clock = _clock_of(outcomes, "total")
    cells = sorted((c for c in outcomes.of("total", clock) if not c.duration), key=lambda c: c.after)
    control = next((c for c in outcomes.durations(clock) if not c.duration), None) if clock else None
    if not cells or control is None:
        return _untested("total", "clean runs that train for as many epochs in total as those with a deficit")
    gains = [outcomes.change(c.scores(), control.scores()) for c in cells]
    said = [
        f"{count(c.after, 'epoch')} {amount_between(g, outcomes.outcome)}"
        for c, g in zip(cells, gains, strict=True)
        if g is not None
    ]
    told = f"Without any deficit, training for longer than the control's {count(control.after, 'epoch')} changes "
    told += (
        f"{outcomes.outcome.quantity.label} by: {'; '.join(said)} ({clock_words(control.clock)}){_as_long(outcomes)}"
    )
    verdicts = {judge(gain, outcomes.outcome) for gain in gains}
    if "cannot tell" in verdicts or "not tested" in verdicts:
        return Finding("total", "cannot tell", sentence(f"{told}. One seed cannot tell"))
    if verdicts == {"none"}:
        return Finding("total", "does not explain it", sentence(f"{told}. The number of epochs does not explain it"))
    return Finding("total", "matters", sentence(f"{told}. Part of any difference in onset may be that"))


def _as_long(outcomes: StudyOutcomes) -> str:
    """What the longest deficit costs, clock by clock, against runs without any that trained for as many epochs."""
    said = []
    for clock in outcomes.clocks:
        cell = outcomes.longest(clock)
        as_long = outcomes.as_long(cell) if cell else None
        if cell is not None and as_long is not None:
            lost = outcomes.worse(cell.scores(), as_long.scores())
            if lost is not None:
                said.append(f"{costs(lost, outcomes.outcome)} ({clock_words(clock)})")
    return f". Against runs of as many epochs in total, the longest deficit {listed(said)}" if said else ""


def _clock_of(outcomes: StudyOutcomes, role: str) -> str | None:
    """The clock to read a role's arm at: the study's own where the arm was run under it."""
    return next((clock for clock in outcomes.clocks if outcomes.of(role, clock)), None)


def _longest_of(outcomes: StudyOutcomes, role: str) -> CellOutcome | None:
    cells = [c for c in outcomes.of(role, _clock_of(outcomes, role)) if c.duration]
    return max(cells, key=lambda c: c.duration, default=None)


def _partner(outcomes: StudyOutcomes, cell: CellOutcome) -> CellOutcome | None:
    """The cell of the main curves with an equally long deficit at the same onset, under the same clock."""
    alike = [*outcomes.durations(cell.clock), *outcomes.onsets(cell.clock)]
    return next((c for c in alike if (c.duration, c.onset) == (cell.duration, cell.onset)), None)
