"""The names of the methods that more than one stage must know."""

DRAFTING = ("ssd", "fastvlm")
