"""Pictures as files, as arrays and in folders: what the runtime, trainings and evaluations share."""
