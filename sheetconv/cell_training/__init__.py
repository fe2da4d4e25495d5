"""Training in cells: a workbook whose formulas take the steps.

What is trained is a `program.CellTraining`; `block` gives a step's tensors their cells and `places`
those of all steps, `spelling` has the formulas and `reckoning` what NumPy makes of the same;
`home`, `gradient_check` and `line` are the worksheets beside the steps, and `writing` the file.
"""
