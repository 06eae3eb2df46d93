"""The order in which a session's steps are drawn: each behind all that it took inputs from."""

from collections.abc import Sequence

from roar.query.graph import Step


def sources_in_order(steps: Sequence[Step]) -> dict[int, list[int]]:
    """By step number those of the steps that it took inputs from; what a step took from comes before it.

    A step that ran again may have read what was made of its own earlier outputs. Of such a circle the link that closes
    it is left out, as a rule that of an earlier step to a later one.
    """
    known = {step.number: step for step in steps}
    kept: dict[int, list[int]] = {}
    done: dict[int, list[int]] = {}
    waiting = sorted(known)
    while waiting:
        number = waiting[-1]
        if number in done:
            waiting.pop()
        elif number in kept:  # all that it took from is done
            done[number] = kept[number]
            waiting.pop()
        else:
            kept[number] = []  # under way: whoever finds it on the way back to itself closes a circle
            kept[number] = [source for source in known[number].sources
                            if source in done or (source in known and source not in kept)]
            waiting += [source for source in reversed(kept[number]) if source not in done]
    return done


def depths(sources: dict[int, list[int]]) -> dict[int, int]:
    """By step number the length of the longest way to it, given what `sources_in_order` found."""
    found: dict[int, int] = {}
    for number, before in sources.items():
        found[number] = max((found[source] + 1 for source in before), default=0)
    return found
