"""Random networks as plain data, valid by construction, and the network of either library made from them.

A graph has the keys
    name, dtype
    inputs      for each input the shape that is declared and the one of its values, both without the batch axis
    layers      {"class": ..., "arguments": {...}}; a Sequential has "layers" besides, a Model has a "graph"
    steps       {"layer": its place in layers, "inputs": places of tensors}; the results are the next tensors
    outputs     places of tensors; the inputs are the first
    input_form, output_form  "single", "list" or "dict"
"""

import random

from graph_layers import MERGING, after, arguments_of, fitting

# Names in an order that is not that of the alphabet, which dicts in Keras are taken in.
NAMES = "zebra", "apple", "melon", "berry", "quince", "date", "fig"
MODELS = "Model", "Sequential"
# Weights of these depend on more of the input's shape than the length of one axis.
PARTICULAR = "PReLU", "Reshape", "Permute"


class Choice:
    """Random choices, the same for the same seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def integer(self, low, high):
        return self.rng.randint(low, high)

    def one(self, *values):
        return self.rng.choice(values)

    def chance(self, one_in):
        return self.integer(1, one_in) == one_in

    def sizes(self, rank, low, high):
        return tuple(self.integer(low, high) for _ in range(rank))

    def order(self, values):
        return self.rng.sample(list(values), len(values))


def graph_of(seed, nested=2, gives_back=False):
    """The graph of a seed, with models in models to this depth, which may give back what they are given."""
    choose = Choice(seed)
    rank = choose.one(2, 1, 2, 1, 3)
    inputs = [_input(choose, rank) for _ in range(choose.one(1, 1, 2, 3))]
    growing = Growing(choose, choose.one("float32", "float64"), "network", inputs, nested, gives_back)
    return growing.grown(choose.integer(2, 12))


def _input(choose, rank):
    longest = (9, 6, 4)[rank - 1]
    actual = (*(choose.integer(3, longest) for _ in range(rank)), choose.one(1, 2, 3))
    if choose.chance(8):
        actual = actual[-1:]
    declared = tuple(None if choose.chance(4) else n for n in actual[:-1])
    return {"declared": (*declared, actual[-1]), "actual": actual}


class Growing:
    """A graph to which layers are added one by one."""

    def __init__(self, choose, dtype, name, inputs, nested, gives_back, is_part=False):
        self.choose, self.dtype, self.nested = choose, dtype, nested
        self.gives_back, self.opened = gives_back, is_part and not gives_back
        self.graph = {"name": name, "dtype": dtype, "inputs": inputs, "layers": [], "steps": []}
        # Of each tensor both shapes, and of each layer those that it was first called on.
        self.shapes = [(one["declared"], one["actual"]) for one in inputs]
        self.first = []

    def grown(self, steps):
        for _ in range(steps):
            self.choose.one(*5 * [self.plain], self.merge, self.merge, self.again, self.model)()
        count = len(self.graph["inputs"])
        used = {tensor for step in self.graph["steps"] for tensor in step["inputs"]}
        if self.opened:
            # Where a model within gives back its input, Keras at times cannot connect what is around it.
            for tensor in set(range(count)) - used:
                self._add({"class": "Activation", "arguments": {"activation": "tanh"}}, [tensor])
                used.add(tensor)
        ends = [tensor for tensor in range(len(self.shapes)) if tensor not in used]
        # A branch whose end is no output is left out of the model, unless it is the only way from an input.
        last = self.choose.one(1, 1, 2)
        kept = [e for e in ends[:-last] if self._is_needed(e, ends)] + ends[-last:]
        more = [self.choose.integer(count * self.opened, len(self.shapes) - 1)] if self.choose.chance(4) else []
        outputs = [*dict.fromkeys([*kept, *more])]
        # One of them twice.
        outputs += [self.choose.one(*outputs)] if self.choose.chance(8) else []
        self.graph["outputs"] = outputs
        self.graph["input_form"] = self._form(self.graph["inputs"])
        self.graph["output_form"] = self._form(outputs)
        return self.graph

    def _is_needed(self, end, ends):
        others = set().union(*(self._sources(e) for e in ends if e > end))
        return not self._sources(end) <= others

    def _sources(self, tensor):
        """The inputs that a tensor depends on."""
        if tensor < len(self.graph["inputs"]):
            return {tensor}
        place = len(self.graph["inputs"])
        for step in self.graph["steps"]:
            place += step["results"]
            if tensor < place:
                return set().union(*map(self._sources, step["inputs"]))
        raise AssertionError

    def _form(self, tensors):
        return self.choose.one("single", "list", "dict") if len(tensors) == 1 else self.choose.one("list", "dict")

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _tensor(self):
        """Most often one of the last."""
        last = len(self.shapes) - 1
        return max(0, last - self.choose.one(0, 0, 1, 2, 4))

    def _call(self, layer, tensors):
        """Call a layer, if its results are of reasonable sizes; tell whether it was."""
        entry = self.graph["layers"][layer]
        found = [results(entry, [self.shapes[t][which] for t in tensors]) for which in (0, 1)]
        if None in found:
            return False
        declared, actual = found
        self.graph["steps"].append({"layer": layer, "inputs": tensors, "results": len(declared)})
        self.shapes += zip(declared, actual, strict=True)
        return True

    def _add(self, entry, tensors):
        self.graph["layers"].append(entry)
        self.first.append([self.shapes[t][0] for t in tensors])
        if not self._call(len(self.first) - 1, tensors):
            self.graph["layers"].pop()
            self.first.pop()

    def plain(self, tensor=None):
        """One layer on one tensor."""
        tensor = self._tensor() if tensor is None else tensor
        entry = self._entry(self.shapes[tensor][0])
        if entry:
            self._add(entry, [tensor])

    def _entry(self, declared):
        kind = self.choose.one(*fitting(declared))
        arguments = arguments_of(kind, self.choose, declared, self.dtype)
        if arguments is not None and self.choose.chance(8):
            arguments["trainable"] = False
        return None if arguments is None else {"class": kind, "arguments": arguments}

    def merge(self):
        """Two or three tensors that fit each other, now and then the same one again."""
        kind = self.choose.one(*MERGING)
        tensors = [self._tensor()]
        for _ in range(1 if kind in ("Subtract", "Dot") else self.choose.integer(1, 2)):
            others = [t for t in range(len(self.shapes)) if self._fit(kind, tensors[0], t)]
            # Nothing is left of a difference of equals.
            if kind == "Subtract" or not self.choose.chance(4):
                others = [t for t in others if t not in tensors]
            if others:
                tensors.append(self.choose.one(*others))
        arguments = {}
        if kind == "Concatenate":
            arguments["axis"] = self.choose.one(-1, *range(1, len(self.shapes[tensors[0]][0]) + 1))
        if kind == "Dot":
            arguments["axes"] = self.choose.integer(1, len(self.shapes[tensors[0]][0]))
        if len(tensors) > 1:
            self._add({"class": kind, "arguments": arguments}, self.choose.order(tensors))

    def _fit(self, kind, tensor, other):
        """Whether two tensors can be merged, in the same way whichever is the first."""
        if kind == "Dot":
            declared = self.shapes[tensor][0]
            return len(declared) < 3 and None not in declared and self.shapes[tensor] == self.shapes[other]
        if kind == "Concatenate":
            # TensorFlow knows of an axis of unknown length only that it is unknown.
            return self.shapes[tensor] == self.shapes[other]
        if None in (*self.shapes[tensor][0], *self.shapes[other][0]):
            # Beside unknown lengths Keras repeats along the wrong axis.
            return self.shapes[tensor] == self.shapes[other]
        if kind == "Add" and not _added_alike(self.shapes[tensor][1], self.shapes[other][1]):
            return False
        pairs = list(zip(self.shapes[tensor], self.shapes[other], strict=True))
        return all(len(a) == len(b) and all(n == m or 1 in (n, m) for n, m in zip(a, b, strict=True)) for a, b in pairs)

    def again(self):
        """A layer or, more often, a model that there is, on other tensors or the same."""
        if not self.first:
            return
        models = [i for i, entry in enumerate(self.graph["layers"]) if entry["class"] in MODELS]
        layer = self.choose.one(*range(len(self.first)), *2 * models)
        fit = [
            [t for t in range(len(self.shapes)) if _takes(self.graph["layers"][layer], first, self.shapes[t][0])]
            for first in self.first[layer]
        ]
        if all(fit):
            tensors = [self.choose.one(*some) for some in fit]
            if self.graph["layers"][layer]["class"] not in MERGING:
                self._call(layer, tensors)

    def model(self):
        """A model as a layer."""
        if self.nested:
            tensors = [self._tensor() for _ in range(self.choose.one(1, 1, 2))]
            if len(tensors) == 1 and self.choose.chance(2):
                self.line(tensors[0])
            else:
                graph = self._inner(tensors).grown(self.choose.integer(1, 4))
                self._add({"class": "Model", "arguments": self._frozen(), "graph": graph}, tensors)

    def line(self, tensor):
        """A Sequential as a layer, which may know its input's shape beforehand."""
        part = self._inner([tensor])
        for _ in range(self.choose.integer(1, 3)):
            last = len(part.shapes) - 1
            more = [part.line, part.narrow] if part.nested else []
            self.choose.one(*3 * [part.plain], *more)(last)
        layers = [part.graph["layers"][step["layer"]] for step in part.graph["steps"]]
        if layers:
            shape = self.shapes[tensor][0] if self.choose.chance(2) else None
            own = {"layers": layers, "shape": shape, "name": part.graph["name"]}
            self._add({"class": "Sequential", "arguments": self._frozen(), **own}, [tensor])

    def narrow(self, tensor):
        """A model of one input and one output as a layer."""
        graph = self._inner([tensor]).grown(self.choose.integer(1, 3))
        graph |= {"outputs": graph["outputs"][:1], "input_form": "single", "output_form": "single"}
        self._add({"class": "Model", "arguments": self._frozen(), "graph": graph}, [tensor])

    def _inner(self, tensors):
        inputs = [{"declared": self.shapes[t][0], "actual": self.shapes[t][1]} for t in tensors]
        name = f"{self.graph['name']}_{len(self.first)}"
        return Growing(self.choose, self.dtype, name, inputs, self.nested - 1, self.gives_back, True)

    def _frozen(self):
        return {"trainable": False} if self.choose.chance(6) else {}


def _added_alike(one, other):
    """Whether Keras's sum is that of NumPy: what it takes for a bias, it adds along whichever axis is as long."""
    if len(one) != len(other):
        return False
    wide = tuple(map(max, one, other))
    last = len(wide) - 1
    long = [[axis for axis, n in enumerate(shape) if n > 1] for shape in (one, other) if shape != wide]
    return all(len(axes) > 1 or axes == [last] for axes in long)


def results(entry, shapes):
    """The shapes that come out of a layer or a model; None where these do not fit or are too large."""
    if entry["class"] == "Sequential":
        for layer in entry["layers"]:
            shapes = results(layer, shapes)
            if shapes is None:
                return None
        return shapes
    if entry["class"] == "Model":
        graph = entry["graph"]
        tensors = list(shapes)
        for step in graph["steps"]:
            found = results(graph["layers"][step["layer"]], [tensors[t] for t in step["inputs"]])
            if found is None:
                return None
            tensors += found
        return [tensors[t] for t in graph["outputs"]]
    shape = after(entry, shapes)
    return None if shape is None else [shape]


def _takes(entry, first, shape):
    """Whether a layer that was called on one shape can be called on another."""
    if len(first) != len(shape):
        return False
    if entry["class"] in (*MODELS, *PARTICULAR):
        return all(n in (None, m) for n, m in zip(first, shape, strict=True))
    if "Flatten" in entry["class"] and None in shape:
        return False
    return first[-1] == shape[-1] and (entry["arguments"].get("data_format") is None or first[0] == shape[0])


# -- networks from them ------------------------------------------------------------------------------------------------


def build(graph, namespace):
    """The graph as a model of a library: of its layers, Input, Model and Sequential."""
    dtype, names = graph["dtype"], NAMES[: len(graph["inputs"])]
    inputs = [
        namespace.Input(one["declared"], dtype=dtype, name=f"{graph['name']}_{name}")
        for one, name in zip(graph["inputs"], names, strict=True)
    ]
    layers = [_layer(entry, graph, i, namespace) for i, entry in enumerate(graph["layers"])]
    tensors = list(inputs)
    for step in graph["steps"]:
        entry, given = graph["layers"][step["layer"]], [tensors[t] for t in step["inputs"]]
        form = entry["graph"]["input_form"] if entry["class"] == "Model" else "list" if len(given) > 1 else "single"
        prefix = entry["graph"]["name"] if entry["class"] == "Model" else ""
        out = layers[step["layer"]](formed(given, form, prefix))
        tensors += flat(out, entry["graph"]["output_form"]) if entry["class"] == "Model" else [out]
    outputs = [tensors[t] for t in graph["outputs"]]
    return namespace.Model(
        formed(inputs, graph["input_form"], graph["name"]), formed(outputs, graph["output_form"]), name=graph["name"]
    )


def _layer(entry, graph, place, namespace):
    if entry["class"] == "Model":
        model = build(entry["graph"], namespace)
    elif entry["class"] == "Sequential":
        inner = {"name": entry["name"], "dtype": graph["dtype"]}
        first = [] if entry["shape"] is None else [namespace.Input(entry["shape"], dtype=graph["dtype"])]
        parts = [_layer(layer, inner, i, namespace) for i, layer in enumerate(entry["layers"])]
        model = namespace.Sequential([*first, *parts], name=entry["name"])
    else:
        name = f"{graph['name']}_{place}_{entry['class'].lower()}"
        return getattr(namespace.layers, entry["class"])(dtype=graph["dtype"], name=name, **entry["arguments"])
    if not entry["arguments"].get("trainable", True):
        model.trainable = False
    return model


def formed(values, form, prefix=None):
    """Values as a graph takes or gives them: alone, in a list or by name."""
    if form == "dict":
        keys = NAMES if prefix is None else [f"{prefix}_{name}" for name in NAMES]
        return dict(zip(keys, values, strict=False))
    return values[0] if form == "single" else list(values)


def flat(values, form):
    """What `formed` has made, as a list in the graph's order."""
    if form == "dict":
        return [values[name] for name in NAMES if name in values]
    # Called on arrays, Keras gives in place of a list of one its only entry.
    return list(values) if isinstance(values, list | tuple) else [values]
