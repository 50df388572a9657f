"""An autoencoder's training: its recipe, phases and losses."""
