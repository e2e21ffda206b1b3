"""What more than one stage must know of each method."""

EXITING = ("ssd", "exit-only", "fastvlm", "oracle")  # leave the decoder at a layer: one setting an exit layer at least
DRAFTING = ("ssd", "prompt-lookup", "fastvlm", "oracle")  # draft and verify
TUNED = ("ssd", "exit-only", "prompt-lookup", "fastvlm", "oracle")  # have settings, of which validation chooses one
IMITATING = ("exit-only", "fastvlm", "oracle")  # need an imitation network
FITTED = ("ssd", "fastvlm")  # say how sure they are of a draft, so that policies can be fitted
LOSSY = ("exit-only",)  # do not claim the text of plain decoding


def claim(method: str) -> str:
    """What a method claims of its texts, as tables say it."""
    return "lossy" if method in LOSSY else "lossless"
