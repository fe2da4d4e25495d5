"""The colours and sizes of a workbook, each with one meaning: see `workbooks/LOOKS.md`.

Blue is below zero, red above, white is zero, in every plane and kernel. Blue and red, and
green and orange, are told apart by those who see red and green alike, and what they say
stands in words or numbers beside them. All leave black digits readable.
"""

from __future__ import annotations

#: The colours of fast.ai's workbook, for templates that copy it: from nearly white for the
#: least to red for the most.
WHITE_TO_RED = ("#FCFCFF", "#F8696B")
#: Pixels: from white for zero to slate. What a network reads has another hue than what it makes.
PIXELS = ("#FFFFFF", "#8DA0B8")
#: Activations that cannot be negative: from white for zero to red for the most.
ACTIVATIONS = ("#FFFFFF", "#F8696B")
#: Numbers of both signs: below zero blue, zero white, above zero red.
SIGNED = ("#5A8AC6", "#FFFFFF", "#F8696B")
#: The planes of an RGB image: each from white for none of its colour.
TINTS = {
    "red": ("#FFFFFF", "#E53935"),
    "green": ("#FFFFFF", "#2E9E48"),
    "blue": ("#FFFFFF", "#2F6FDE"),
}

#: Drawn padding, and its digits.
GREY, GREY_DIGITS = "#D9D9D9", "#A6A6A6"
#: The frame around each cell of a kernel or a bias.
FRAME = "#BFBFBF"
#: Labels and shapes; titles are black.
LABEL = "#7F7F7F"
#: Links.
LINK = "#0563C1"
#: What a person chooses or types: fill and frame.
CHOICE, CHOICE_FRAME = "#FFF2CC", "#BF9000"
#: Cells that a picked unit sees: frame and digits.
LIT = "#6A1B9A"
#: An answer that is right, and one that is wrong: fill and digits.
RIGHT, RIGHT_DIGITS = "#C8E6C9", "#1B5E20"
WRONG, WRONG_DIGITS = "#FFE0B2", "#B71C1C"
#: What cannot be used, said in words.
TROUBLE = "#B71C1C"
#: The head of a table.
HEAD = "#E8ECF1"
#: Cells of one kernel, each in its own colour wherever it stands again.
TIED = (
    "#FBB4AE", "#B3CDE3", "#CCEBC5", "#DECBE4", "#FED9A6",
    "#FFFFCC", "#E5D8BD", "#FDDAEC", "#D9E3F0",
)  # fmt: skip

#: Points of the digits on planes: 28 columns of them then fit on a laptop's screen.
DIGITS = 8
