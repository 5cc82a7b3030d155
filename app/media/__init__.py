"""Decodes uploaded images, and encodes images for answers.

`uploads` decodes files, and `digit_photo` makes an MNIST-like digit of a photo: `ink` reads its ink, `digit_parts`
chooses the digit, `paper_sheet` leaves out what lies around the paper, and `digit_strokes` draws the digit. Between
decoding and this, `sixteen_bits` converts deep grey, `upright` turns and shrinks pictures, and `transparency` lays them
on paper. `jpeg_end` and `png_chunks` prepare files for the decoder, and `file_kinds` describes files that are not
images. `png`, `animations` (GIF and WebP) and `archives` (npz and zip) encode images, and `saliency_overlay` makes a
picture of a gradient.

This package may import `app.problems` and `models`.
"""
