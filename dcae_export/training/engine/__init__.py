"""The steps of a run, whatever it trains: processes, averages, checkpoints, interruptions."""
