"""The course: its solutions are right, its holes are empty, and errors are told where they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from situations import environment

from numbaconv.exercises import EXERCISES, answers, check, copy_course, solution, timing
from numbaconv.exercises.__main__ import main
from numbaconv.exercises.copying import EMPTY, SOLUTIONS, with_hole
from numbaconv.exercises.counting import products_of
from numbaconv.exercises.drawing import difference
from numbaconv.exercises.mistakes import MISTAKES, TURNED

ROOT = Path(__file__).parents[2]
TIMED = [name for name, exercise in EXERCISES.items() if exercise.rung]


def right(name):
    return getattr(answers, EXERCISES[name].function)


@pytest.fixture
def untimed(monkeypatch):
    monkeypatch.setattr("numbaconv.exercises.checking.speeds", lambda *functions: {"yours": 2e9})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in TIMED else []) for name in EXERCISES]
)
def test_solutions_are_right(name, untimed, capsys):
    assert check(SOLUTIONS / f"{name}.py")
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: right.\n")
    assert ("2.0 GFLOP/s" in printed) == (name in TIMED)


def test_every_exercise_has_a_text_a_hole_and_a_number():
    assert {path.stem for path in SOLUTIONS.glob("*.py")} == set(EXERCISES)
    for number, (name, exercise) in enumerate(EXERCISES.items(), 1):
        text = solution(name)
        assert name.startswith(f"ex{number:02}_")
        assert text.startswith(f'"""{number}. ')
        assert text.count("# Yours from here.") == text.count("# To here.") == 1
        hole = with_hole(text)
        # Only what is between the marks has gone.
        begin, end = (text.index(mark) for mark in ("# Yours from here.", "# To here."))
        assert hole.startswith(text[:begin])
        assert hole.endswith(text[end:])
        assert hole.count(EMPTY) == 1
        assert f"def {exercise.function}(" in hole
        compile(hole, name, "exec")


def test_a_copy_has_holes_and_no_solutions(tmp_path, capsys):
    new = copy_course(tmp_path / "course")
    assert {path.name for path in new} == {"README.md", *(f"{name}.py" for name in EXERCISES)}
    for name in EXERCISES:
        assert not check(tmp_path / "course" / f"{name}.py")
        assert "Nothing is written yet." in capsys.readouterr().out


def test_the_line_in_the_hole_is_missed_only_where_it_stands(tmp_path, capsys):
    path = tmp_path / "ex03_convolution.py"
    begun = solution(path.stem).replace("    # Yours from here.\n", f"    # Yours from here.\n    {EMPTY}\n")
    path.write_text(begun)
    assert not check(path)
    assert "still stands beside yours" in capsys.readouterr().out
    path.write_text(begun.replace(EMPTY, f"# {EMPTY}"))
    assert check(path)


def test_a_learners_work_stays(tmp_path):
    copy_course(tmp_path)
    work, other = tmp_path / "ex03_convolution.py", tmp_path / "ex04_channels.py"
    work.write_text("mine")
    other.unlink()
    assert copy_course(tmp_path) == [other]
    assert work.read_text() == "mine"


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, those in MISTAKES.items() for what in those])
def test_mistakes_are_recognised(name, what, capsys):
    assert not check(MISTAKES[name][what], name)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: not yet.\nCase ")
    assert printed.endswith(f"{what}\n")


def test_the_first_wrong_number_is_shown(capsys):
    def conv1d(x, weights):
        out = answers.conv1d(x, weights)
        if len(x) == 9:
            out[2] += 1
        return out

    assert not check(conv1d)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("Case 4 of 4: conv1d(x=[")
    assert lines[2].startswith("out[2] is ")
    assert [lines[3].split()[0], lines[4].split()[0]] == ["yours", "right"]
    # The mark stands under the last digit of the third number.
    assert lines[3][: lines[5].index("^") + 1].split() == lines[3].split()[:4]
    assert lines[5].split() == ["^"]


def test_images_are_drawn():
    wanted = np.arange(24.0).reshape(4, 3, 2)
    got = wanted.copy()
    got[1, 2, 1] = got[3, 0, 1] = 0.5
    told = difference(got, wanted, 1e-6)
    assert told.splitlines() == [
        "out[1, 2, 1] is 0.5, and 11 is right.",
        "  out[:, :, 1], with . for what is right and x for what is wrong:",
        "    . . .",
        "    . . x",
        "    . . .",
        "    x . .",
    ]
    big = np.zeros((1, 100, 100, 3))
    wrong = big.copy()
    wrong[0, 50, 60, 2] = 1
    told = difference(wrong, big, 1e-6)
    assert "from row 42 and column 45 on" in told
    assert told.count(" x .") == 1
    assert max(map(len, told.splitlines())) < 100


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (None, "It returns nothing. Does it end with a return? To print a result is not to return it."),
        ("text", "It returns str, where numbers are asked for."),
        (np.ones((2, 3)), "It gives an array of shape (2, 3), where an array of shape (3, 3) is right."),
        (3, "It gives the number 3, where an array of shape (3, 3) is right."),
        (2 * np.ones((3, 3)), "Everything is 2 times what is right."),
        (np.zeros((3, 3)), "Everything is 0 times what is right."),
        (np.full((3, 3), np.nan), "nan is no number."),
        (np.eye(3) * 7 + 3, "Nothing is right so far."),
        (np.where(np.arange(3) == 2, 5, np.ones((3, 3))), "Only the edge is wrong"),
    ],
)
def test_what_is_wrong_is_said(got, told):
    assert told in difference(got, np.ones((3, 3)), 1e-6)


def test_errors_name_the_learners_line(tmp_path, capsys):
    path = tmp_path / "ex03_convolution.py"
    path.write_text("def conv1d(x, weights):\n    return x[99]\n")
    assert not check(path)
    printed = capsys.readouterr().out
    assert "Line 2 of ex03_convolution.py: return x[99]" in printed
    assert "IndexError" in printed
    path.write_text("def other():\n    pass\n")
    assert not check(path)
    assert "ex03_convolution.py has no function conv1d" in capsys.readouterr().out
    path.write_text("def conv1d(x, weights)\n")
    assert not check(path)
    assert "SyntaxError" in capsys.readouterr().out


def test_errors_are_told_with_their_case_and_never_at_lines_of_others(tmp_path, capsys):
    path = tmp_path / "numba" / "ex07_causal.py"
    path.parent.mkdir()
    path.write_text("import numpy as np\ndef causal(x, weights, dilation):\n    return np.pad(x, (-1, 0))\n")
    assert not check(path)
    printed = capsys.readouterr().out
    assert "Case 1 of 4: causal(x=[" in printed
    assert "Line 3 of ex07_causal.py: return np.pad(x, (-1, 0))\nValueError" in printed
    path.write_text("def causal(x, weights, dilation):\n    return (x\n")
    assert not check(path)
    assert "Line 2 of ex07_causal.py: return (x\nSyntaxError: '(' was never closed\n" in capsys.readouterr().out


def test_what_the_first_inputs_hold_is_not_forgotten(capsys):
    """Were they 0, nobody would see it."""

    def causal(x, weights, dilation):
        x = x.copy()
        x[0] = 0
        return answers.causal(x, weights, dilation)

    assert not check(causal)

    def average_pool(x, size, stride):
        return answers.average_pool(x, size, stride).astype(int)

    assert not check(average_pool)

    def input_gradient(grad, weights, n, stride):
        return answers.input_gradient(grad, weights, (len(grad) - 1) * stride + len(weights), stride)

    assert not check(input_gradient)
    assert len({case[0].tobytes() for case in EXERCISES["ex21_winograd"].inputs()}) == 3


def test_what_is_printed_comes_once(capsys):
    def causal(x, weights, dilation):
        print("mine")
        return x + 1

    assert not check(causal)
    assert capsys.readouterr().out.count("mine") == 1


def test_an_output_that_is_read_or_returned(capsys):
    def conv(x, weights, out):
        return answers.conv(x, weights, out)

    assert not check(conv, "ex17_parallel_rows")
    printed = capsys.readouterr().out
    assert "nan is no number." in printed
    assert "the results belong in out" in printed


def test_a_wrong_result_and_a_changed_input_are_both_told(capsys):
    def causal(x, weights, dilation):
        x[:] = answers.causal(x, weights, dilation) + 1
        return x

    assert not check(causal)
    assert "What was given to it has changed, too" in capsys.readouterr().out


def test_loops_on_one_core_are_told(tmp_path, capsys):
    path = tmp_path / "ex17_parallel_rows.py"
    path.write_text(solution(path.stem).replace("numba.prange", "range"))
    assert not check(path)
    assert "no loop is shared out among the cores" in capsys.readouterr().out


def test_slow_functions_are_told(monkeypatch, capsys):
    monkeypatch.setattr("numbaconv.exercises.checking.speeds", lambda *functions: {"yours": 2e9, "the solution": 9e9})

    def conv(x, weights, out):
        out[:] = answers.conv(x, weights, out)

    assert check(conv, "ex18_filters_innermost")
    assert "Yours takes 4.5 times as long as the solution" in capsys.readouterr().out


def test_inputs_must_stay_as_they_are(capsys):
    def max_pool(x, size, stride):
        out = answers.max_pool(x, size, stride)
        x[:] = 0
        return out

    assert not check(max_pool)
    assert "what was given to it has changed" in capsys.readouterr().out


def test_multiplications_are_counted(capsys):
    def two_outputs(d, g):
        return [d[i] * g[0] + d[i + 1] * g[1] + d[i + 2] * g[2] for i in (0, 1)]

    assert not check(two_outputs)
    assert "with 6 multiplications; 4 are enough" in capsys.readouterr().out

    def two_outputs(d, g):
        return answers.two_outputs(np.array(d, float), np.array(g, float))

    assert not check(two_outputs)
    assert "multiplications cannot be counted" in capsys.readouterr().out
    d, g = np.ones(2), np.ones(2)
    assert products_of(lambda d, g: (d[0] + 2 * d[1] - 1) * (g[0] / 2 - g[1]) + d[0] * g[1], d, g) == 2
    assert products_of(lambda d, g: np.array([[1.0, 2.0]]) @ (d * g)[:, None], d, g) == 2


def test_exercises_use_those_beside_them_as_they_are_now(tmp_path, capsys):
    copy_course(tmp_path)
    used, user = tmp_path / "ex09_depthwise.py", tmp_path / "ex10_separable.py"
    user.write_text(solution(user.stem))
    assert not check(user)
    assert "It uses ex09_depthwise.py, and there nothing is written yet." in capsys.readouterr().out
    used.write_text(solution(used.stem))
    assert check(user)
    assert not list(tmp_path.glob("__pycache__"))


def test_which_exercise_is_meant():
    def conv(x, weights, out):
        raise AssertionError

    with pytest.raises(ValueError, match=r"which of ex17_parallel_rows, .* is it\? Say check\(function, name\)"):
        check(conv)
    with pytest.raises(ValueError, match="function 'main': no exercise has it"):
        check(main)
    with pytest.raises(ValueError, match="there is no exercise 'other'"):
        check("folder/other.py")


def test_the_course_at_the_command_line(tmp_path, capsys, untimed):
    folder = tmp_path / "course"
    assert main(["start", str(folder)]) == 0
    assert f"{len(EXERCISES) + 1} new files" in capsys.readouterr().out
    assert main(["check", str(folder)]) == 1
    assert f"0 of {len(EXERCISES)} are done. Next: {folder / 'ex01_output_length.py'}" in capsys.readouterr().out
    for name in list(EXERCISES)[:3]:
        (folder / f"{name}.py").write_text(solution(name))
    assert main(["check", str(folder)]) == 1
    assert f"3 of {len(EXERCISES)} are done." in capsys.readouterr().out
    assert main(["check", str(folder / "ex02_same_padding.py")]) == 0
    assert main(["solution", "ex02_same_padding"]) == 0
    assert capsys.readouterr().out.endswith(solution("ex02_same_padding"))
    (folder / "ex01_output_length.py").unlink()
    assert main(["check", str(folder)]) == 1
    assert "is missing" in capsys.readouterr().err


def test_the_page_shows_what_a_check_says(capsys):
    page = (ROOT / "docs" / "exercises.md").read_text("utf-8")
    sample = page.split("```text\n")[1].split("```")[0]
    assert not check(MISTAKES["ex03_convolution"][TURNED], "ex03_convolution")
    assert capsys.readouterr().out == sample
    assert f"The course has {len(EXERCISES)} short files" in page


@pytest.mark.nightly
def test_the_whole_course_from_a_shell(tmp_path):
    """With the solutions, and with what is measured beside them."""
    copy_course(tmp_path)
    for name in EXERCISES:
        (tmp_path / f"{name}.py").write_text(solution(name))
    command = [sys.executable, "-m", "numbaconv.exercises", "check", "."]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"All {len(EXERCISES)} are done.\n")
    assert done.stdout.count("  numbaconv ") == len(TIMED)
    assert done.stdout.count("  the solution, rung 6 ") == 1


@pytest.mark.slow
def test_speeds_are_those_of_the_functions_that_are_given(monkeypatch):
    monkeypatch.setattr(timing, "OUTPUTS", 4)
    monkeypatch.setattr(timing, "ROUNDS", 1)
    seen = []
    found = timing.speeds(lambda *arrays: seen.append("mine"), lambda *arrays: seen.append("solution"))
    assert list(found)[:3] == ["yours", "the solution", "numbaconv"]
    assert seen == ["mine", "solution"] * 2
    assert min(found.values()) > 0
