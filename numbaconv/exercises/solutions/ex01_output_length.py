"""1. How many outputs?

A kernel of ``taps`` weights slides along ``n`` inputs. Each step moves it by ``stride`` inputs, and it must lie wholly
inside. With n = 7, taps = 3 and stride = 2 it fits at the inputs 0, 2 and 4, so there are 3 outputs:

    0 1 2 3 4 5 6
    -----
        -----
            -----

Count the places for any n. A kernel that is longer than the input fits nowhere: then the answer is 0.
"""


def output_length(n, taps, stride):
    # Yours from here.
    return max(0, (n - taps) // stride + 1)
    # To here.
