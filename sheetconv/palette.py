"""The colours and sizes of a workbook, each with one meaning: see `workbooks/LOOKS.md`.

Blue is below zero, red above, white is zero, in every plane and kernel. Blue and red, and
green and orange, are told apart by those who see red and green alike, and what they say
stands in words or numbers beside them. All that are behind digits leave black ones readable.
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
#: Gradients: below zero purple, zero white, above zero green; not to be taken for numbers that
#: the network makes.
GRADIENT = ("#A980C3", "#FFFFFF", "#6FBF8B")
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

#: Lines of charts and plots in their order, from the colours of Okabe and Ito, and grey: blue,
#: vermilion, green, purple, orange, sky blue. All are seen on white, whatever colours one sees.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#595959")
#: A line that stands behind a stronger one.
PALE_LINE = "#B4C7DC"
#: Layers, from the first to the last, where LINES are too few: a line has a colour between these.
DEPTH = ("#12355B", "#0072B2", "#009E73", "#E69F00", "#D55E00")
#: Of charts and plots: titles and numbers; labels; axes; what only guides the eye.
INK, SOFT, AXIS, GRID = "#212529", "#5F6773", "#BFC5CE", "#E8ECF1"
#: How many answers are right, and how many are wrong: from white for none.
RIGHT_COUNTS, WRONG_COUNTS = ("#FFFFFF", "#7CC47F"), ("#FFFFFF", "#FB9A3C")
#: How many there are of what is neither right nor wrong: from white for none to dark red.
COUNTS = ("#FFFFFF", "#C2452D")
#: Pixels on which no digits stand, on plots: as PIXELS, and on to nearly black.
SLATE = (*PIXELS, "#1F2A3D")

#: Points of the digits on planes: 28 columns of them then fit on a laptop's screen.
DIGITS = 8
