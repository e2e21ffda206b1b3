"""What more than one stage must know of each method."""

# Leave the decoder at a layer: one setting an exit layer at least.
EXITING = ("ssd", "ssd-joint", "layerskip", "exit-only", "fastvlm", "oracle")
DRAFTING = ("ssd", "ssd-joint", "layerskip", "prompt-lookup", "draft-verify", "fastvlm", "oracle")  # draft and verify
TUNED = (*DRAFTING, "exit-only")  # have settings, of which validation chooses one
IMITATING = ("exit-only", "fastvlm", "oracle")  # need an imitation network
ORACLE_OF = "fastvlm"  # whose drafter the oracle has, and in whose job it is decoded, so that the two are timed side by side
SKIPPING = ("draft-verify",)  # need a search for the sublayers that they skip
RETRAINED = ("ssd-joint", "layerskip")  # have a backbone of their own, fine-tuned from the model's, whose plain decoding they are held to
BARE = ("ssd", *RETRAINED)  # take the state of the exit layer as it is
FITTED = (*BARE, "draft-verify", "fastvlm")  # say how sure they are of a draft, so that policies can be fitted
BESIDE = ("baseline", "generate", "oracle")  # stand beside the methods, for reference, and are not ranked among them
LOSSY = ("exit-only",)  # do not claim the text of plain decoding
CHANGING = (*RETRAINED, *LOSSY)  # may say something else than the model's plain decoding


def claim(method: str, *, drawn: bool = False) -> str:
    """What a method claims of its texts, as tables say it; `drawn` texts are plain decoding's in distribution, not one by one."""
    if method in LOSSY:
        return "lossy"
    kept = "equal in distribution" if drawn else "lossless"
    return f"{kept}, own backbone" if method in RETRAINED else kept


def most_skipped(share: float, layers: int) -> int:
    """How many of the sublayers, two a layer, a drafter may skip: never all, as `share` is below 1."""
    return int(share * 2 * layers)


def competes(method: str) -> bool:
    """Whether a method is ranked among those that keep the text."""
    return method not in (*BESIDE, *LOSSY)
