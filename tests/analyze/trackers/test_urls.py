import pytest

from roar.analyze.trackers.urls import before, clean_base, clean_url, segments, without_user_info


@pytest.mark.parametrize(("text", "clean"), [
    ("https://a.example/x", "https://a.example/x"),
    ("HTTPS://a.example/x.", "https://a.example/x"),
    ("https://user:pass@a.example:8080/x", "https://a.example:8080/x"),
    ("https://a.example/x?apiKey=s&write_token=t&project=p", "https://a.example/x?project=p"),
    ("https://a.example/#/runs/1?access_token=s&workspace=w", "https://a.example/#/runs/1?workspace=w"),
    ("http://[::1]:80/x", "http://[::1]:80/x"),
    ("https://a.example/x)", "https://a.example/x"),
])
def test_clean(text, clean):
    assert clean_url(text) == clean


@pytest.mark.parametrize("text", [
    "", "javascript:alert(1)", "file:///etc/passwd", "//a.example", "https://", "https://a.example:port/",
    "https://a.example/\x1b[0m", "https://a.example/ x", "https://a.example/<script>", "https://a\\b/", "http://@/x",
    "https://a.example/" + "x" * 3000, "https://a.example/\udc80",
])
def test_what_is_no_web_address(text):
    assert clean_url(text) is None


def test_parts():
    url = "https://a.example/wandb/e%20f/p/runs/1"
    assert segments(url) == ["wandb", "e f", "p", "runs", "1"]
    assert before(url, 4) == "https://a.example/wandb"
    assert clean_base("https://u@a.example/x/?q=1#f") == "https://a.example/x"
    assert clean_base(None) is None


@pytest.mark.parametrize(("value", "clean"), [
    ("http://user:pw@host/x", "http://host/x"), ("postgresql://user:p/w@host:5432/db", "postgresql://host:5432/db"),
    ("http://host/@team/x", "http://host/@team/x"), ("plain value", "plain value"), ("databricks://profile", "databricks://profile"),
    ("http://host/x?write_token=s", "http://host/x"), ("sqlite:///foo.db", "sqlite:///foo.db"),
])
def test_settings_lose_user_info(value, clean):
    assert without_user_info(value) == clean
