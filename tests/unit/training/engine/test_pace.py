from dcae_export.training.engine.pace import Pace


def test_the_pace_is_that_of_the_last_twenty_steps():
    now = 0.0
    pace = Pace(clock=lambda: now)
    for _ in range(30):
        now += 10
        assert pace.step() == 10
    for _ in range(19):
        now += 1
        pace.step()
    now += 1
    assert pace.step() == 1
