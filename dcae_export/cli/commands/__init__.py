"""One module for each command of ``dcae``, imported when it is called."""
