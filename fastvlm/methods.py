"""What more than one stage must know of each method."""

EXITING = ("ssd", "exit-only", "fastvlm", "oracle")  # leave the decoder at a layer: one setting an exit layer at least
DRAFTING = ("ssd", "prompt-lookup", "draft-verify", "fastvlm", "oracle")  # draft and verify
TUNED = ("ssd", "exit-only", "prompt-lookup", "draft-verify", "fastvlm", "oracle")  # have settings, of which validation chooses one
IMITATING = ("exit-only", "fastvlm", "oracle")  # need an imitation network
SKIPPING = ("draft-verify",)  # need a search for the sublayers that they skip
FITTED = ("ssd", "draft-verify", "fastvlm")  # say how sure they are of a draft, so that policies can be fitted
BESIDE = ("baseline", "generate", "oracle")  # stand beside the methods, for reference, and are not ranked among them
LOSSY = ("exit-only",)  # do not claim the text of plain decoding


def claim(method: str, *, drawn: bool = False) -> str:
    """What a method claims of its texts, as tables say it; `drawn` texts are plain decoding's in distribution, not one by one."""
    if method in LOSSY:
        return "lossy"
    return "equal in distribution" if drawn else "lossless"


def most_skipped(share: float, layers: int) -> int:
    """How many of the sublayers, two a layer, a drafter may skip: never all, as `share` is below 1."""
    return int(share * 2 * layers)


def competes(method: str) -> bool:
    """Whether a method is ranked among those that keep the text."""
    return method not in (*BESIDE, *LOSSY)
