"""The paper's Table I: mean and standard deviation of the position error, in metres."""

PUBLISHED = {
    ('reverb_sim', 4): {'srp_phat_2d': (1.86, 1.46), 'neural_srp': (1.17, 0.87),
                        'crnn4': (2.85, 1.53)},
    ('reverb_sim', 6): {'srp_phat_2d': (1.51, 1.32), 'neural_srp': (0.90, 0.66),
                        'crnn6': (2.49, 1.29)},
    ('recorded', 4): {'srp_phat_2d': (1.19, 1.53), 'neural_srp_plus': (0.77, 0.66),
                      'crnn4': (3.78, 1.63)},
    ('recorded', 6): {'srp_phat_2d': (0.75, 1.04), 'neural_srp_plus': (0.56, 0.46),
                      'crnn6': (2.91, 1.77)},
}
"""
By data set and number of microphones. The paper's SRP is srp_phat_2d here: its figures fit a
two-dimensional SRP on 25 by 25 cells.
"""
