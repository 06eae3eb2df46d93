"""A switch that switches nothing is refused before anything starts."""


def test_a_tracker_with_a_letter_wrong(desk):
    desk.write(".roar/config.toml", "[analyzers.experiment_trackers]\nwanbd = false\n")
    done = desk.roar("run", "sh", "-c", "echo x > o", status=1)
    assert "config.toml:2" in done.stderr
    assert "wandb" in done.stderr
    assert not (desk.root / "o").exists()
