"""What an ELF file of root's or of a world's says about itself: symbols, code, and the layout of its structures."""

