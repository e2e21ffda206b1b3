"""What more than one stage must know of each method."""

EXITING = ("ssd", "exit-only", "fastvlm")  # leave the decoder at a layer: one setting an exit layer at least
DRAFTING = ("ssd", "prompt-lookup", "fastvlm")  # draft and verify
TUNED = ("ssd", "exit-only", "prompt-lookup", "fastvlm")  # have settings, of which validation chooses one
IMITATING = ("exit-only", "fastvlm")  # need an imitation network
LOSSY = ("exit-only",)  # do not claim the text of plain decoding


def claim(method: str) -> str:
    """What a method claims of its texts, as tables say it."""
    return "lossy" if method in LOSSY else "lossless"
