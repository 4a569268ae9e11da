"""The examples that train, on little data: that they run, and that networks do learn in them."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


def drawn(figure, path):
    figure.savefig(path)
    return path.stat().st_size > 10_000


@pytest.mark.slow
def test_digits(tmp_path):
    pytest.importorskip("sklearn")
    import digits

    x, y, x_test, y_test = digits.digits()
    assert x.shape == (1437, 8, 8, 1)
    assert x_test.shape == (360, 8, 8, 1)
    images, labels = digits.shifted(x[:2], y[:2])
    assert images.shape == (10, 8, 8, 1)
    np.testing.assert_array_equal(labels, np.tile(y[:2], 5))
    np.testing.assert_array_equal(images[:2], x[:2])
    np.testing.assert_array_equal(images[2, 1:], x[0, :-1])
    np.testing.assert_array_equal(images[8, :, :-1], x[0, :, 1:])
    model, history = digits.train(x[:300], y[:300], epochs=2, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    assert accuracy > 0.6
    assert drawn(digits.picture(model, history, x_test, y_test), tmp_path / "digits.png")


@pytest.mark.slow
def test_denoise(tmp_path):
    pytest.importorskip("skimage")
    import denoise

    lesson, clean = denoise.photographs()
    clean = clean[:160, :160]
    model, history = denoise.train(lesson, epochs=3, count=100)
    x = denoise.noisy(clean, np.random.default_rng(1))
    images = {"clean": clean, "noisy": x, "blurred": denoise.blurred(x, 0.8), "network": x - model(x[None])[0]}
    quality = {name: denoise.psnr(image, clean) for name, image in images.items() if name != "clean"}
    assert quality["noisy"] < min(quality["blurred"], quality["network"])
    assert drawn(denoise.picture(images, clean, history), tmp_path / "denoise.png")
