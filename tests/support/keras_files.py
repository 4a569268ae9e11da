"""Files as versions of Keras wrote them that are hard to install today, made by hand."""

import io
import json
import zipfile

import h5py
import numpy as np


def legacy(path, config, weights=None, version="2.2.4", backend="tensorflow", **attributes):
    """An HDF5 file of Keras 1 or 2: of each layer its weights by name, in order."""
    with h5py.File(path, "w") as file:
        for name, value in {"model_config": config, **attributes}.items():
            if value is not None:
                file.attrs[name] = json.dumps(value).encode()
        root = file if config is None else file.create_group("model_weights")
        for one in (file, root):
            for name, value in {"keras_version": version, "backend": backend}.items():
                if value is not None:
                    one.attrs[name] = value.encode()
        if weights is not None:
            root.attrs["layer_names"] = [name.encode() for name in weights]
            for layer, arrays in weights.items():
                group = root.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in arrays]
                for name, array in arrays.items():
                    group[f"{layer}/{name}:0"] = np.asarray(array, "f4")
    return path


def arrays_of(arrays):
    """An HDF5 file of Keras 3's layout, as bytes."""
    file = io.BytesIO()
    with h5py.File(file, "w") as tree:
        for name, array in arrays.items():
            tree[name] = array if isinstance(array, np.integer) else np.asarray(array, "f4")
    return file.getvalue()


def modern(path, config, arrays, version="3.3.0", compression=zipfile.ZIP_STORED, **entries):
    """A .keras file: arrays by path."""
    contents = {
        "metadata.json": json.dumps({"keras_version": version}),
        "config.json": config if isinstance(config, str) else json.dumps(config),
        "model.weights.h5": arrays if isinstance(arrays, bytes) else arrays_of(arrays),
        **entries,
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def layer(class_name, name, *before, keywords=None, **config):
    """An entry of a functional model of Keras 2, called on the layers before it."""
    nodes = [[one, 0, 0, keywords or {}] if isinstance(one, str) else [*one, keywords or {}] for one in before]
    entry = {"class_name": class_name, "config": {"name": name, **config}, "name": name}
    return {**entry, "inbound_nodes": [nodes] if nodes else []}


def input_layer(name, *shape, **config):
    """An entry of an input of Keras 2, of this shape without the batch axis."""
    return layer("InputLayer", name, batch_input_shape=[None, *shape], dtype="float32", sparse=False, **config)


def functional(layers, inputs, outputs, class_name="Model", name="model", **entry):
    """A functional model of Keras 2, with inputs and outputs by the names of their layers."""
    ends = {"input_layers": [[one, 0, 0] for one in inputs], "output_layers": [[one, 0, 0] for one in outputs]}
    return {"class_name": class_name, "config": {"name": name, "layers": layers, **ends}, **entry}
