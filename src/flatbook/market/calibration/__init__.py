"""From one recorded or live chain to a surface: forwards, quotes as bands of vol, slices free of arbitrage, the proof.

    snapshot -> forward_estimates -> quote_bands -> calibrate -> Calibration -> judge

All of it is pure: a snapshot and the calibration before it go in, values come out.
"""
