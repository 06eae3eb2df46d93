"""The DAG as a tree and as a drawing."""

import re
import xml.etree.ElementTree as ET

import pytest
from recording import dataset, digest, file, unknown

from roar.present import drawing
from roar.present.drawing import draw_dag
from roar.present.graphs import ranges, render_dag, render_lineage
from roar.query.graph import load_steps
from roar.query.lineage import Direction, load_lineage
from roar.query.references import resolve

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def sweep(recorder):
    """Two steps, then 90 trainings each with its evaluation, then one that collects them all, rerun five times."""
    recorder.job("python fetch.py", [], [file("raw")])
    recorder.job("python prepare.py --seed 1", [file("raw")], [file("train"), file("test")])
    for number in range(90):
        recorder.job(f"python train.py --lr {number}", [file("train")], [file(f"model{number}")],
                     exit_code=int(number == 7))
        recorder.job(f"python eval.py model{number}", [file(f"model{number}"), file("test")], [file(f"score{number}")])
    for _ in range(6):
        recorder.job("python collect.py", [file(f"score{number}") for number in range(90)], [file("table")])
    return load_steps(recorder.database, 1)


def test_a_sweep_of_200_jobs_fits_a_screen(sweep):
    lines = render_dag(sweep).splitlines()
    assert lines[0] == "● @1 python fetch.py → raw"
    assert lines[1] == "↳ @2 python prepare.py --seed 1 → train, test"
    assert lines[2] == "↳ @3, @5, @7, @9 … @181 python train.py …  90 steps: 89 ok, 1 exit 1"
    assert lines[3] == "↳ @4, @6, @8, @10 … @182 python eval.py …  90 steps: 90 ok, 1 stale  (also from @2)"
    assert lines[4] == ("↳ @183 x6 python collect.py → table  (also from @4, @6, @8, @10 and 85 more:"
                        " roar dag --all)")
    assert lines[5:] == ["    stale: @18, which it took inputs from, is stale",
                         "Like steps are folded; each by itself: roar dag --all"]


@pytest.mark.parametrize(("words", "folded"), [
    (["./train.py", "--lr", "{}"], "./train.py"), (["./run.sh", "{}"], "./run.sh"),
    (["./train", "--lr", "{}"], "./train"), (["./train", "fit", "--lr", "{}"], "./train fit"),
    (["make", "model-{}"], "make"), (["make", "-j", "{}"], "make"),
    (["torchrun", "--nproc", "{}", "t.py"], "torchrun t.py"), (["python", "-m", "a.b", "{}"], "python -m a.b"),
    (["sh", "-c", "python t.py {} > o"], "sh -c python t.py"), (["/bin/bash", "-c", "echo {}"], "bash -c echo")])
def test_a_sweep_of_any_program_is_one_line(recorder, words, folded):
    recorder.job("python prepare.py", [], [file("train")])
    for number in range(12):
        recorder.job([word.format(number) for word in words], [file("train")], [file(f"model{number}")])
    steps = load_steps(recorder.database, 1)
    assert render_dag(steps).splitlines()[1] == f"↳ @2..@13 {folded} …  12 steps: 12 ok"
    assert len(ET.fromstring(draw_dag(steps)).findall(f".//{SVG}rect")) == 2


@pytest.mark.parametrize("commands", [
    ["./fit.py", "./test.py", "./plot.py", "./a.sh", "./b.sh"], ["make a", "make b", "make c", "make d", "make e"],
    ["python a.py", "python b.py", "python c.py", "python -m a", "python -m b"]])
def test_other_programs_and_targets_are_not_folded(recorder, commands):
    for command in commands:
        recorder.job(command, [], [file(command)])
    assert len(render_dag(load_steps(recorder.database, 1)).splitlines()) == 5


def test_unfolded_every_step_has_its_line(sweep):
    text = render_dag(sweep, {})
    lines = [line for line in text.splitlines() if "stale: " not in line]
    assert len(lines) == len(sweep) == 183
    assert all(f"@{step.number} " in text for step in sweep)
    assert lines[-1].endswith(", @176, @178, @180)")


def test_followers_of_one_step_branch_and_chains_stay_narrow(recorder):
    recorder.job("a", [], [file("a")])
    recorder.job("b", [file("a")], [file("b")])
    recorder.job("c", [file("a")], [file("c")])
    recorder.job("d", [file("b")], [file("d")])
    recorder.job("lone", [], [file("lone")])
    assert render_dag(load_steps(recorder.database, 1)).splitlines() == [
        "● @1 a → a", "├─● @2 b → b", "│ ↳ @4 d → d", "↳ @3 c → c", "● @5 lone → lone"]


def test_on_a_terminal_a_long_command_leaves_room_for_outputs_and_sources(recorder, monkeypatch):
    monkeypatch.setattr("roar.present.graphs.width", lambda: 60)
    words = " ".join(f"--option-{number} {number}" for number in range(9))
    recorder.job("a", [], [file("a")])
    recorder.job(f"python train.py {words}", [file("a")], [file("model.pt"), *(file(f"x{n}") for n in range(3))])
    recorder.job(f"python join.py {words}", [file("a"), file("model.pt")], [file("l" * 70)])
    steps = load_steps(recorder.database, 1)
    assert render_dag(steps).splitlines() == [
        "● @1 a → a", "↳ @2 python train.py --option-0 0 --o… → model.pt, x0, x1 +1",
        f"↳ @3 python join.py --op… → {'l' * 15}…  (also from @1)",
        "Outputs are cut; all of them in full: roar dag --all"]
    assert render_dag(load_steps(recorder.database, 1, every_output=True), {}).splitlines()[1:] == [
        "↳ @2 python train.py --option-0 0 --… → model.pt, x0, x1, x2",
        f"↳ @3 python join.py --op… → {'l' * 70}  (also from @1)"]


def test_outputs_that_are_cut_are_all_in_the_unfolded_graph(recorder):
    names = [f"out{number:02}" for number in range(12)]
    recorder.job("make", [], list(map(file, names)))
    assert render_dag(load_steps(recorder.database, 1)).splitlines() == [
        "● @1 make → out00, out01, out02 +9", "Outputs are cut; all of them in full: roar dag --all"]
    steps = load_steps(recorder.database, 1, every_output=True)
    assert render_dag(steps, {}) == f"● @1 make → {', '.join(names)}\n"


def test_outputs_that_are_called_the_same_have_their_paths(recorder):
    recorder.job("make", [], [file("a/metrics.json"), file("b/metrics.json"), file("c/model.pt")])
    assert render_dag(load_steps(recorder.database, 1)) == "● @1 make → a/metrics.json, b/metrics.json, model.pt\n"


def test_a_folded_line_says_that_its_steps_ran_more_often(recorder):
    for _ in range(2):
        for number in range(6):
            recorder.job(f"python train.py --lr {number}", [], [file(f"model{number}")])
    assert render_dag(load_steps(recorder.database, 1)).splitlines()[0] == (
        "● @1..@6 python train.py …  6 steps in 12 jobs: 6 ok")


def test_a_tooltip_that_is_cut_says_what_draws_all(recorder):
    recorder.job("make", [], [file(f"out{number:02}") for number in range(12)])
    for number in range(6):
        recorder.job(f"python train.py --lr {number}", [], [file(f"model{number}")])

    def tooltips(*arguments, **more):
        picture = ET.fromstring(draw_dag(*arguments, **more))
        return [title.text for title in picture.findall(f"{SVG}g/{SVG}title")]

    cut, folded = tooltips(load_steps(recorder.database, 1), command="roar dag ab12")
    assert cut.endswith(", out07 and 4 more: roar dag ab12 --all --svg FILE")
    assert folded.endswith("6 steps; each by itself: roar dag ab12 --all --svg FILE")
    whole = tooltips(load_steps(recorder.database, 1, every_output=True), {})
    assert len(whole) == 7
    assert whole[0].endswith(", out10, out11")


def test_no_step_stands_beside_a_group_that_it_took_from(recorder):
    recorder.job("python fetch.py", [], [file("raw")])
    recorder.job("python prepare.py", [file("raw")], [file("train")])
    recorder.job("python train.py --lr 0", [file("train")], [file("model0")])
    recorder.job("python choose.py", [file("train"), file("model0")], [file("best")])
    for number in range(1, 6):
        recorder.job(f"python train.py --lr {number}", [file("train")], [file(f"model{number}")])
    recorder.job("python choose.py", [file("train"), *(file(f"model{number}") for number in range(1, 6))],
                 [file("best", "other")])
    assert render_dag(load_steps(recorder.database, 1)).splitlines() == [
        "● @1 python fetch.py → raw", "↳ @2 python prepare.py → train",
        "↳ @3, @5..@9 python train.py …  6 steps: 6 ok",
        "↳ @4 x2 python choose.py → best  (also from @2, @5..@8)",
        "Like steps are folded; each by itself: roar dag --all"]


def test_steps_that_took_from_each_other_in_turns(recorder):
    recorder.job("seed", [], [file("state")])
    recorder.job("step a", [file("state")], [file("half")])
    recorder.job("step b", [file("half")], [file("state", "second")])
    recorder.job("step a", [file("state", "second")], [file("half", "second")])
    steps = load_steps(recorder.database, 1)
    assert {step.number: step.sources for step in steps} == {1: (), 2: (3,), 3: (2,)}
    assert len(render_dag(steps).splitlines()) == 3  # each made its turn of the one before: nothing is stale
    assert len(ET.fromstring(draw_dag(steps)).findall(f".//{SVG}rect")) == 3


def points(path):
    """Points along a line of the drawing: `M x y C …` or `M x y H x`."""
    first, second = re.fullmatch(r"M(\S+ \S+) [CH](.+)", path).groups()
    numbers = [float(number) for number in f"{first} {second}".split()]
    if len(numbers) == 3:
        numbers = [numbers[0], numbers[1], numbers[0], numbers[1], numbers[2], numbers[1], numbers[2], numbers[1]]
    for part in (step / 40 for step in range(1, 40)):
        weights = (1 - part) ** 3, 3 * part * (1 - part) ** 2, 3 * part ** 2 * (1 - part), part ** 3
        yield tuple(sum(weight * number for weight, number in zip(weights, numbers[axis::2], strict=True))
                    for axis in (0, 1))


def test_no_line_of_the_drawing_crosses_a_box(recorder):
    recorder.job("python prepare.py", [], [file("train"), file("test")])
    recorder.job("python train.py", [file("train")], [file("model")])
    recorder.job("python calibrate.py", [file("model"), file("train")], [file("calibrated")])
    recorder.job("python evaluate.py", [file("test"), file("model"), file("calibrated")], [file("score")])
    recorder.job("python report.py", [file("train"), file("score")], [file("report")])
    picture = ET.fromstring(draw_dag(load_steps(recorder.database, 1)))
    boxes = [[float(box.get(name)) for name in ("x", "y", "width", "height")] for box in picture.iter(f"{SVG}rect")]
    lines = [path.get("d") for path in picture.iter(f"{SVG}path")]
    assert len(boxes) == 5
    assert len(lines) == 12 + 4  # between columns, and across a column at each bend
    crossed = [(line, box) for line in lines for px, py in points(line) for box in [
        next(((x, y) for x, y, w, h in boxes if x < px < x + w and y < py < y + h), None)] if box]
    assert crossed == []
    inside = [0 <= px <= float(picture.get("width")) and 0 <= py <= float(picture.get("height"))
              for line in lines for px, py in points(line)]
    assert all(inside)


def test_what_is_too_far_apart_for_bends_is_drawn_all_the_same(recorder, monkeypatch):
    monkeypatch.setattr(drawing, "_MOST_BENDS", 3)
    for number in range(6):
        recorder.job(f"step {number}", [file(f"f{past}") for past in range(number)], [file(f"f{number}")])
    picture = ET.fromstring(draw_dag(load_steps(recorder.database, 1), {}))
    assert len(picture.findall(f".//{SVG}rect")) == 6
    assert 15 <= len(picture.findall(f".//{SVG}path")) <= 15 + 2 * 3


def test_a_chain_of_thousands(recorder):
    for number in range(1200):
        recorder.job(f"{number}", [file(f"f{number}")], [file(f"f{number + 1}")])
    steps = load_steps(recorder.database, 1)
    lines = render_dag(steps).splitlines()
    assert len(lines) == 1200
    assert max(map(len, lines)) < 40
    assert len(ET.fromstring(draw_dag(steps)).findall(f".//{SVG}rect")) == 1200


def test_the_drawing_folds_what_is_alike(sweep):
    assert len(ET.fromstring(draw_dag(sweep)).findall(f".//{SVG}rect")) == 5
    assert len(ET.fromstring(draw_dag(sweep, {})).findall(f".//{SVG}rect")) == 183


def test_the_drawing_escapes_what_it_is_given(recorder):
    recorder.job(["sh", "-c", "<script>alert(1)</script> & \x1b[31m \udcff"], [], [file("<img src=x>")])
    picture = draw_dag(load_steps(recorder.database, 1))
    assert "<script" not in picture
    assert "<img" not in picture
    assert "\x1b" not in picture
    texts = [element.text for element in ET.fromstring(picture.encode()).iter(f"{SVG}text")]
    assert any("<script>" in text for text in texts)


def test_the_drawing_names_a_file_as_all_else_does(recorder):
    recorder.job("a", [], [file("new\nline")])
    steps = load_steps(recorder.database, 1)
    assert render_dag(steps) == "● @1 a → new\\nline\n"
    assert [text.text for text in ET.fromstring(draw_dag(steps)).iter(f"{SVG}text")][-1] == "new\\nline"


def test_an_empty_session_draws_nothing():
    assert ET.fromstring(draw_dag([])).findall(f".//{SVG}rect") == []
    assert render_dag([]) == ""


@pytest.mark.parametrize(("numbers", "text"), [
    ([1], "@1"), ([1, 2, 3], "@1..@3"), ([1, 3], "@1, @3"), ([5, 1, 2], "@1..@2, @5"),
    ([1, 3, 5, 7, 9, 11], "@1, @3, @5, @7 … @11")])
def test_ranges(numbers, text):
    assert ranges(numbers) == text


def test_who_else_made_the_same_content_can_be_asked_for(recorder):
    for number in range(3):
        recorder.job(f"make {number}", [], [file(f"o{number}", "same")])
    lineage = load_lineage(recorder.database, resolve(recorder.database, recorder.workspace, digest("same")))
    line = render_lineage(lineage, "o", session=None, command="").splitlines()[1]
    assert line.startswith("  2 other jobs wrote the very same content, the latest ")
    assert line.endswith(f": roar show {digest('same')[:12]}")


def test_a_job_is_not_called_a_user_of_itself(recorder):
    recorder.job("make", [], [file("data")])
    recorder.job("use", [file("data")], [file("model")])

    def heads(direction):
        lineage = load_lineage(recorder.database, resolve(recorder.database, recorder.workspace, "@1"),
                               direction=direction)
        text = render_lineage(lineage, "", session=None, command="")
        return [line.split("  ")[0].rsplit(" ", 1)[0] for line in text.splitlines() if line.endswith(("make", "use"))]

    assert heads(Direction.DOWN) == heads(Direction.BOTH) == ["the job", "after it"]
    assert heads(Direction.UP) == ["the job"]


def test_the_makers_of_one_input_are_cut_to_a_readable_length(recorder):
    files = {f"f{number:03}": f"content {number}" for number in range(300)}
    for name, content in files.items():
        recorder.job(f"make {name}", [], [file(f"data/{name}", content)])
    whole, members = dataset("data/", files)
    recorder.job("train", [whole], [file("model")], datasets=(members,))
    lineage = load_lineage(recorder.database, resolve(recorder.database, recorder.workspace, "@-1"))
    text = render_lineage(lineage, "model", session=None, command="roar lineage x")
    (line,) = (line for line in text.splitlines() if "←" in line)
    first = [job.uid[:8] for job in lineage.graph.jobs if job.command[1:] == ["f000"] or job.command[1:] == ("f000",)]
    assert line.endswith(" and 295 more: roar lineage x --all")
    assert f"← {first[0]}, " in line
    whole_text = render_lineage(lineage, "model", session=None, command="", every_file=True)
    (line,) = (line for line in whole_text.splitlines() if "←" in line)
    assert line.count(", ") == 300
    assert "more" not in line


def test_an_input_whose_content_is_not_known_is_named(recorder):
    recorder.job("make", [unknown("d", "it was changed")], [file("o")])
    lineage = load_lineage(recorder.database, resolve(recorder.database, recorder.workspace, "@-1"))
    text = render_lineage(lineage, "o", session=None, command="roar lineage o")
    assert "    from  d  no digest  it was changed" in text
