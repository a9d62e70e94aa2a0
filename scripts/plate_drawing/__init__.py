"""Vietnamese number plates, drawn: what is written (spec), with which glyphs, on which plate, how it has aged."""
