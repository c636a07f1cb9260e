"""What counts as large, small, worth a change: shares of the unit of loss, and of the time budget.

The unit is the loss of the best constant prediction, or the present loss if that is larger. Nothing here
is an absolute loss or gradient.
"""

TRIAL_SHARE = 0.6  # of the time budget
PLACE_SHARE = 0.25  # of the time budget, for the spectrum at this point
GRADIENT_SHARE = 1 / 1500  # of the time budget, for one gradient
MATERIAL_UNIT = 0.03  # a gain below this share of the unit is not worth a change,
MATERIAL_LOSS = 0.10  # nor one below this share of the present loss
STILL_FALLING = 0.02  # share of the unit over a trial, or over the last quarter of a run
FLAT = 0.02  # share of the unit below which a slope or a curvature leads nowhere within ||theta||
CEILING = 1.5  # times the unit of loss: beyond knowing nothing, all losses are equally bad
LARGE = 0.2  # share of the unit that decay, dropout or a small model must cost to be called too much
