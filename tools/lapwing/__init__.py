"""The host side of Lapwing: checks config files, makes boot images, runs them in an emulator. Standard library only."""
