"""The process of one runtime for `networks.py`: runs a network when it is told to, and says how long that took.

    python asv_bench/networks_runtimes.py RUNTIME NETWORK FOLDER BATCH THREADS

Thread pools that spin disturb each other, and PyTorch hangs in a process that has loaded TensorFlow. So each runtime
has a process of its own.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], np.ndarray]
# What torchvision calls the networks that it has.
TORCHVISION = {
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Large": "mobilenet_v3_large",
    "ResNet50": "resnet50",
    "DenseNet121": "densenet121",
    "InceptionV3": "inception_v3",
    "EfficientNetB0": "efficientnet_b0",
}

# Each function yields once when all is imported, and then the call.


def numbaconv(name: str, folder: Path, x: np.ndarray, threads: int) -> Iterator[Run | None]:
    from numbaconv.models import load_model

    yield None
    model = load_model(folder / "model.keras", compile=False)
    yield lambda: model.predict_on_batch(x)


def onnxruntime(name: str, folder: Path, x: np.ndarray, threads: int) -> Iterator[Run | None]:
    import onnxruntime as ort

    yield None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: x}
    yield lambda: session.run(None, given)[0]


def openvino(name: str, folder: Path, x: np.ndarray, threads: int) -> Iterator[Run | None]:
    import openvino as ov

    yield None
    request = openvino_compiled(ov, openvino_model(ov, folder, x.shape), threads).create_infer_request()
    yield lambda: request.infer([x], share_inputs=True)[0]


def openvino_model(ov: Any, folder: Path, shape: tuple[int, ...]) -> Any:
    """The network for inputs of this shape."""
    model = ov.Core().read_model(folder / "model.onnx")
    model.reshape(list(shape))
    return model


def openvino_compiled(ov: Any, model: Any, threads: int, **more: Any) -> Any:
    """The network in float32: where the processor has it, bfloat16 would be used."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    return ov.Core().compile_model(model, "CPU", settings | more)


def keras(name: str, folder: Path, x: np.ndarray, threads: int) -> Iterator[Run | None]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf
    from keras.saving import load_model
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    yield None
    model = load_model(folder / "model.keras", compile=False)
    # For MobileNetV2, a graph with variables took 1.4 times as long as one with constants, and XLA 7 times as long.
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec(x.shape))
    frozen = convert_variables_to_constants_v2(graph)
    yield lambda: frozen(tf.constant(x))[0].numpy()


def torchvision(name: str, folder: Path, x: np.ndarray, threads: int) -> Iterator[Run | None]:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        import torchvision
    except RuntimeError:
        # A wheel for graphics cards beside a PyTorch without: its operators are missing, which no network here needs.
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

    torch.set_num_threads(threads)
    yield None
    last = {"memory_format": torch.channels_last}
    more = {"init_weights": True} if name == "InceptionV3" else {}
    model = getattr(torchvision.models, TORCHVISION[name])(weights=None, **more).eval().to(**last)
    given = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).to(**last)
    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(model, given))

    def run() -> np.ndarray:
        with torch.inference_mode():
            return frozen(given).numpy()

    yield run


RUNTIMES = {
    "numbaconv": numbaconv,
    "ONNX Runtime": onnxruntime,
    "OpenVINO": openvino,
    "Keras, TensorFlow": keras,
    "torchvision": torchvision,
}


def memory(kind: str) -> float | None:
    """MB that this process has now (VmRSS), or had at most (VmHWM); None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1024


def block(run: Run, seconds: float, clock: Callable[[], float]) -> list[float]:
    """Seconds of each of some calls, after one that finds the caches as others have left them."""
    run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        run()
        times.append(clock() - start)
    return times


def serve(runtime: str, name: str, folder: Path, batch: int, threads: int, answer: Callable[[Any], None]) -> None:
    """Say how the first result came about, then run blocks of calls as lines on standard input ask for them."""
    x = np.ascontiguousarray(np.load(folder / "x.npy")[:batch])
    marks = [time.perf_counter()]
    # Of processor time there is no less when other programs run.
    clock = time.process_time if threads == 1 else time.perf_counter
    steps = RUNTIMES[runtime](name, folder, x, threads)
    next(steps)
    marks.append(time.perf_counter())
    imported = memory("VmRSS")
    run = next(steps)
    assert run is not None
    marks.append(time.perf_counter())
    result = run()
    marks.append(time.perf_counter())
    seconds = dict(zip(("import", "load", "first"), np.diff(marks).tolist(), strict=True))
    np.save(folder / f"{os.getpid()}.npy", result)
    answer({"seconds": seconds, "imported": imported, "result": str(folder / f"{os.getpid()}.npy")})
    for line in sys.stdin:
        answer({"times": block(run, float(line), clock), "memory": memory("VmHWM")})


if __name__ == "__main__":
    # A process that is stopped would not see the one that started it end. So the system ends it: PR_SET_PDEATHSIG.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    # Nothing that a library prints may come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    runtime, name, folder, batch, threads = sys.argv[1:]
    serve(runtime, name, Path(folder), int(batch), int(threads), lambda found: print(json.dumps(found), file=answers))
