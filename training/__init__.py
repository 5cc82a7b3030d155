"""The game and the judging of it: data, losses, loop, exact resume, run folder, export, command line."""
