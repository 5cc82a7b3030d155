"""Decodes uploaded images, and encodes images for answers.

`uploads` decodes files, and `digit_photo` makes an MNIST-like digit of a photo. `png`, `animations` (GIF and WebP) and
`archives` (npz and zip) encode images, and `saliency_overlay` makes a picture of a gradient.

May import `app.problems` and `models`.
"""
