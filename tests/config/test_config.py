"""Settings: where they come from, which wins, and what is said of a wrong one."""

import pytest

from roar.config import SETTINGS, load_settings, variable
from roar.errors import SettingsError
from roar.workspace import Workspace


@pytest.fixture
def place(tmp_path):
    """Writes settings files and loads them."""

    class Place:
        root = tmp_path / "project"
        user = tmp_path / "xdg" / "roar" / "config.toml"
        own = root / ".roar" / "config.toml"
        project = root / "pyproject.toml"

        def load(self, **environ):
            workspace = Workspace(str(self.root))
            home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
            return load_settings(workspace, home | environ)

    made = Place()
    made.own.parent.mkdir(parents=True)
    made.user.parent.mkdir(parents=True)
    return made


def test_defaults(place):
    settings = place.load()
    for setting in SETTINGS:
        assert settings.entry(setting.key) == (setting.default, "default")


def test_precedence(place):
    place.user.write_text('[glaas]\nurl = "http://user"\n')
    assert place.load().text("glaas.url") == "http://user"
    place.project.write_text('[project]\nname = "x"\n[tool.roar.glaas]\nurl = "http://project"\n')
    assert place.load().text("glaas.url") == "http://project"
    place.own.write_text('[glaas]\nurl = "http://workspace"\n')
    settings = place.load()
    assert settings.entry("glaas.url") == ("http://workspace", f"{place.own}:2")
    settings = place.load(ROAR_GLAAS_URL="http://environment")
    assert settings.entry("glaas.url") == ("http://environment", "ROAR_GLAAS_URL")


def test_both_forms_of_the_trackers_switch(place):
    names = ["wandb", "mlflow"]
    place.own.write_text("[analyzers]\nexperiment_trackers = false\n")
    assert place.load().trackers(names) == {"wandb": False, "mlflow": False}
    place.own.write_text("[analyzers.experiment_trackers]\nwandb = false\nmlflow = true\nneptune = true\n")
    settings = place.load()
    assert settings.trackers(names) == {"wandb": False, "mlflow": True}
    assert settings.tracker("wandb").origin == f"{place.own}:2"
    assert settings.tracker("other").origin == "default"


def test_the_closest_file_that_speaks_of_a_tracker_decides(place):
    place.user.write_text("[analyzers]\nexperiment_trackers = false\n")
    place.own.write_text("[analyzers.experiment_trackers]\nwandb = true\n")
    assert place.load().trackers(["wandb", "mlflow"]) == {"wandb": True, "mlflow": False}
    place.user.write_text("[analyzers.experiment_trackers]\nwandb = true\n")
    place.own.write_text("[analyzers]\nexperiment_trackers = false\n")
    assert place.load().trackers(["wandb"]) == {"wandb": False}
    loaded = place.load(ROAR_ANALYZERS_EXPERIMENT_TRACKERS="true", ROAR_ANALYZERS_EXPERIMENT_TRACKERS_MLFLOW="off")
    assert loaded.trackers(["wandb", "mlflow"]) == {"wandb": True, "mlflow": False}


@pytest.mark.parametrize(("text", "line", "message"), [
    ("[glaas]\n\nurl = 3\n", 3, "glaas.url must be text, not 3"),
    ("[glaas]\nurl = 'x'\nulr = 'x'\n", 3, "there is no setting 'glaas.ulr'"),
    ("[glass]\nurl = 'x'\n", 2, "Did you mean 'glaas.url'"),
    ("glaas.url = 3\n", 1, "glaas.url must be text"),
    ("# a comment\n[analyzers]\nexperiment_trackers = 'no'\n", 3, "must be true or false, not 'no'"),
    ("[analyzers.experiment_trackers]\nwandb = 1\n", 2, "experiment_trackers.wandb must be true or false, not 1"),
    ("[datasets]\nthreshold = -1\n", 2, "must not be negative"),
    ("[datasets]\nthreshold = true\n", 2, "must be a whole number, not True"),
    ("[tracer]\nmode = 'magic'\n", 2, "must be one of auto, full, seccomp, preload, none"),
    ("[glaas]\nurl = 'ftp://x'\n", 2, "glaas.url must be an http or https address without a user's name, not 'ftp://x'"),
    ("[glaas]\nurl = 'https://'\n", 2, "glaas.url must be an http or https address"),
    ("[glaas]\nurl = 'https://x:99999/'\n", 2, "glaas.url must be an http or https address"),
    ("[glaas]\nurl = 'https://a:b@x'\n", 2, "address without a user's name."),
    ("[filters]\nadd = ['a', 3]\n", 2, "must be a list of texts"),
])
def test_a_wrong_file_is_named_with_line_and_key(place, text, line, message):
    place.own.write_text(text)
    with pytest.raises(SettingsError) as caught:
        place.load()
    assert caught.value.message.startswith(f"{place.own}:{line}: ")
    assert message in caught.value.message


def test_broken_toml_is_named_with_its_line(place):
    place.own.write_text("[glaas]\nurl = \n")
    with pytest.raises(SettingsError, match=r"config\.toml is not valid TOML: .*line 2"):
        place.load()


def test_lines_in_pyproject_count_from_its_top(place):
    place.project.write_text('[project]\nname = "x"\n\n[tool.roar.glaas]\nurl = 7\n')
    with pytest.raises(SettingsError, match=r"pyproject\.toml:5: glaas\.url must be text"):
        place.load()


def test_a_broken_pyproject_without_our_table_is_not_ours_to_judge(place):
    place.project.write_text("[project\nname = ")
    assert place.load().text("tracer.mode") == "auto"


@pytest.mark.parametrize(("name", "value"), [
    ("ROAR_DATASETS_THRESHOLD", "many"), ("ROAR_TRACER_MODE", "magic"), ("ROAR_ANALYZERS_EXPERIMENT_TRACKERS", "2")])
def test_a_wrong_variable_is_named(place, name, value):
    with pytest.raises(SettingsError, match=f"^{name}: "):
        place.load(**{name: value})


def test_variables_of_each_type(place):
    settings = place.load(ROAR_DATASETS_THRESHOLD="7", ROAR_FILTERS_ADD="a/*, b", ROAR_UNRELATED="x")
    assert settings.number("datasets.threshold") == 7
    assert settings.texts("filters.add") == ("a/*", "b")
    assert variable("glaas.url") == "ROAR_GLAAS_URL"


@pytest.mark.parametrize(("text", "texts"), [
    ('["*.log", \'a,b\']', ("*.log", "a,b")), ("[]", ()), ("[ab], [1]", ("[ab]", "[1]")), ("[1]", ("[1]",)),
    ('["a",\n "b",\n]', ("a", "b"))])
def test_a_list_is_taken_as_a_file_has_it_too(place, text, texts):
    assert place.load(ROAR_FILTERS_REMOVE=text).texts("filters.remove") == texts


@pytest.mark.parametrize("text", ['["*.log"', "['a' 'b']", '["a", 3]'])
def test_a_list_that_is_none_is_refused(place, text):
    with pytest.raises(SettingsError) as caught:
        place.load(ROAR_FILTERS_REMOVE=text)
    assert caught.value.message == f"ROAR_FILTERS_REMOVE: filters.remove must be a list of texts, not {text!r}."
    assert caught.value.hint == "roar config filters.remove '*.a, b/'"


@pytest.mark.parametrize("url", ["", "https://glaas.example.com/base/", "HTTP://x", "glaas.example.com:8420",
                                 "[::1]:80", "http://[::1]", "https://x?y=a@b://c"])
def test_addresses_of_servers(place, url):
    assert place.load(ROAR_GLAAS_URL=url).text("glaas.url") == url


def test_settings_of_another_user_are_no_obstacle(place, monkeypatch):
    """As under `sudo -u`, which may keep HOME. Root may read everything, so the kernel's refusal is played."""
    ours = open

    def refuse(path, *arguments, **options):
        if path == str(place.user):
            raise PermissionError(13, "Permission denied", path)
        return ours(path, *arguments, **options)

    place.user.write_text('[glaas]\nurl = "http://user"\n')
    place.own.write_text("[datasets]\nthreshold = 7\n")
    monkeypatch.setattr("builtins.open", refuse)
    settings = place.load()
    assert (settings.text("glaas.url"), settings.entry("datasets.threshold").value) == ("", 7)
